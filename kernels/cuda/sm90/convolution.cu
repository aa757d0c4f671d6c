#include "kernels/cuda/sm90/convolution.cuh"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cuda/packed_filter.cuh"
#include "kernels/cuda/sm90/implicit_gemm.cuh"

namespace unet::kernels::gpu::sm90 {
namespace {

/// Channels of the product's left factor, and where in the filter theirs begin.
template <class T>
struct Source {
  View<const T> x;
  int64_t filter_offset;
};

/// Taps of stride 2 do not overlap: each is a source of its own, which has one tap.
template <class T>
std::vector<Source<T>> sources_of(const Convolution<T, T>& c) {
  std::vector<Source<T>> sources;
  if (c.stride == 1) {
    sources.push_back({c.x, 0});
    if (c.x2) sources.push_back({c.x2, c.x.c * c.filter.channel_stride});
    return sources;
  }
  for (int r = 0; r < c.taps_h; ++r) {
    for (int s = 0; s < c.taps_w; ++s) {
      View<const T> x = c.x;
      x.data += r * x.stride_h + s * x.stride_w;
      x.h = c.height(), x.w = c.width();
      x.stride_h *= c.stride, x.stride_w *= c.stride;
      sources.push_back({x, (r * c.taps_w + s) * c.filter.tap_stride});
    }
  }
  return sources;
}

/// All of the shape that does not depend on the plan.
template <class T>
Shape<T> shape_of(const Convolution<T, T>& c, const std::vector<Source<T>>& sources) {
  Shape<T> shape{.images = static_cast<int>(c.n()),
                 .result_h = static_cast<int>(c.height()),
                 .result_w = static_cast<int>(c.width()),
                 .taps_h = c.stride == 1 ? c.taps_h : 1,
                 .taps_w = c.stride == 1 ? c.taps_w : 1,
                 .pad_h = c.pad_h,
                 .pad_w = c.pad_w,
                 .sources = static_cast<int>(sources.size()),
                 .ranges = c.ranges,
                 .relu = c.relu,
                 .is_stored = static_cast<bool>(c.range[0].out),
                 .pooled = c.pooled,
                 .pool_code = c.pool_code};
  int slabs = 0, blocks = 0;
  for (int i = 0; i < shape.sources; ++i) {
    slabs += static_cast<int>(ceil_div(sources[i].x.c, kBlock<T>)) * shape.taps_w;
    shape.slab_end[i] = slabs;
  }
  for (int i = 0; i < shape.ranges; ++i) {
    shape.channels[i] = static_cast<int>(c.range[i].out.c);
    blocks += static_cast<int>(ceil_div(shape.channels[i], kBlock<T>));
    shape.block_end[i] = blocks;
    shape.is_masked[i] = static_cast<bool>(c.range[i].x);
    shape.bias[i] = c.b == nullptr ? nullptr : c.b + c.range[i].begin % c.filter.period;
  }
  return shape;
}

/// Where pack() finds the factors.
struct FilterSource {
  FilterOrder order;
  int64_t offset[kMaxSources];
  int channels[kMaxSources];
  int begin[kMaxRanges];  // first column of a range
};

/// packed[column][slab][r][channel] = the filter's factors in the order of the product, zero in the padding. A block
/// copies kBlock columns x kBlock channels of one tap through shared memory, where they change places, so that it reads
/// in the order of the filter. Bound by memory: 4 bytes read and sizeof(T) written per factor.
template <class T>
__global__ void __launch_bounds__(256)
    pack(const __grid_constant__ FilterSource filter, const __grid_constant__ Shape<T> shape, T* packed) {
  constexpr int kSide = kBlock<T>;
  using Rows = float[kSide][kSide + 1];
  UNET_SHARED(Rows, rows);
  const int step = static_cast<int>(blockIdx.x), slab = step / shape.taps_h, r = step % shape.taps_h;
  const int block = static_cast<int>(blockIdx.y);
  const Place source(shape.slab_end, slab), range(shape.block_end, block);
  const int first_channel = (slab - source.first) / shape.taps_w * kSide;
  const int first_column = (block - range.first) * kSide;
  const FilterOrder& order = filter.order;
  const int tap = r * shape.taps_w + (slab - source.first) % shape.taps_w;
  const float* from = order.w + filter.offset[source.index] + tap * order.tap_stride;
  const bool along_channels = order.channel_stride == 1;
  for (int i = static_cast<int>(threadIdx.x); i < kSide * kSide; i += 256) {
    const int row = along_channels ? i / kSide : i % kSide;
    const int c = along_channels ? i % kSide : i / kSide;
    float factor = 0;
    if (first_column + row < shape.channels[range.index] && first_channel + c < filter.channels[source.index]) {
      const int j = filter.begin[range.index] + first_column + row;
      factor = from[order.column(j) + (first_channel + c) * order.channel_stride];
    }
    rows[row][c] = factor;
  }
  __syncthreads();
  const int64_t depth = int64_t{gridDim.x} * kSide;
  T* to = packed + int64_t{block} * kSide * depth + step * kSide;
  for (int i = static_cast<int>(threadIdx.x); i < kSide * kSide / 2; i += 256) {
    const int row = i / (kSide / 2), c = i % (kSide / 2) * 2;
    store_pair<T>(to + row * depth + c, rows[row][c], rows[row][c + 1]);
  }
}

/// out = act(bias + sum of the partial sums, in the order of the slabs) * [mask > 0] of one range. A thread computes
/// four channels of one pixel. Bound by memory: 4 bytes read per split and value.
template <class T>
__global__ void __launch_bounds__(256)
    add_partial(const __grid_constant__ Shape<T> shape, int range, View<const T> mask, View<T> out) {
  constexpr int kLength = 4;
  const int64_t index = int64_t{blockIdx.x} * 256 + threadIdx.x, across = out.c / kLength;
  const int64_t pixels = out.n * out.h * out.w;
  if (index >= pixels * across) return;
  const int64_t pixel = index / across;
  const int c = static_cast<int>(index % across) * kLength;
  const int columns = shape.blocks() * kBlock<T>, first = range == 0 ? 0 : shape.block_end[range - 1] * kBlock<T>;
  const float* from = shape.partial + pixel * columns + first + c;
  auto sums = load_vector<kLength>(from);
  for (int split = 1; split < shape.splits; ++split) {
    const auto part = load_vector<kLength>(from + split * pixels * columns);
    for (int i = 0; i < kLength; ++i) sums.values[i] += part.values[i];
  }
  const int64_t n = pixel / (out.h * out.w), p = pixel / out.w % out.h, q = pixel % out.w;
  const auto masks = mask ? load_vector<kLength>(pixel_of(mask, n, p, q) + c) : Vector<T, kLength>{};
  for (int i = 0; i < kLength; ++i) {
    if (shape.bias[range] != nullptr) sums.values[i] += shape.bias[range][c + i];
    sums.values[i] = activate(sums.values[i], shape.relu);
    if (mask && !(static_cast<float>(masks.values[i]) > 0)) sums.values[i] = 0;
  }
  store_vector(pixel_of(out, n, p, q) + c, rounded<T>(sums));
}

/// Calls visit(plan) with every way to compute the product, and an estimate of the cycles of its busiest
/// multiprocessor. The estimate rests on peak rates, per multiprocessor and cycle 4096 FLOP of bf16, 128 bytes of
/// shared memory and 32 from L2, and on guesses of what a tile and a second kernel cost besides; nothing of it was
/// fitted to a measurement.
template <class T, class Visit>
void for_each_plan(const Context& context, const Shape<T>& shape, Visit visit) {
  constexpr double kBytesPerCycle = 32, kTileCycles = 2000, kSecondKernelCycles = 6000;
  const int multiprocessors = device_info(context).multiprocessors;
  const bool may_split = context.convolution != ConvolutionMode::direct && !shape.pooled;
  const int most_splits = may_split ? std::min(8, (shape.slabs() + 1) / 2) : 1;
  const int64_t columns = int64_t{shape.blocks()} * kBlock<T>;
  const auto results = static_cast<double>(int64_t{shape.images} * shape.result_h * shape.result_w * columns);
  Tiles::for_each([&]<class Tile>(int index) {
    for (int width = 8; width <= Tile::kN; width += 8) {
      const int height = Tile::kPixels / width;
      if (Tile::kN % width != 0 || (height + shape.taps_h - 1) * width > Tile::kSlabPixels) continue;
      if (shape.pooled && Tile::kN / width % 2 != 0) continue;
      const double products = 2.0 * kConsumers * shape.taps_h * Tile::kN;
      const double bytes = kRowBytes * ((height + shape.taps_h - 1) * width + shape.taps_h * Tile::kColumns);
      const double shared_bytes = bytes + 4.0 * kConsumers * shape.taps_h * 32 * (64 + Tile::kN);
      const double slab_cycles = std::max({products, bytes / kBytesPerCycle, shared_bytes / 128});
      const double tiles = static_cast<double>(shape.images) * static_cast<double>(ceil_div(shape.result_h, height)) *
                           static_cast<double>(ceil_div(shape.result_w, width) * ceil_div(columns, Tile::kColumns));
      for (int splits = 1; splits <= most_splits; ++splits) {
        const double rounds = std::ceil(tiles * splits / multiprocessors);
        const auto slabs = static_cast<double>(ceil_div(shape.slabs(), splits));
        double cycles = rounds * (slabs * slab_cycles + kTileCycles);
        if (splits > 1) cycles += kSecondKernelCycles + 8 * splits * results / (kBytesPerCycle * multiprocessors);
        visit(Plan{.tile = index, .height = height, .width = width, .splits = splits, .cycles = cycles});
      }
    }
  });
}

template <class T>
bool fits_tma(const View<T>& v) {
  return v.is_nhwc() && v.c >= kBlock<std::remove_const_t<T>> && is_aligned(v, 16 / static_cast<int64_t>(sizeof(T)));
}

/// Boxes of kBlock channels, `width` x `height` pixels.
template <class T>
TensorMap image_map(const View<T>& v, int width, int height, bool tf32) {
  const auto bytes = [](int64_t elements) { return static_cast<uint64_t>(elements) * sizeof(T); };
  return make_tensor_map(
      {.base = v.data,
       .element_bytes = sizeof(T),
       .tf32 = tf32,
       .rank = 4,
       .size = {static_cast<uint64_t>(v.c), static_cast<uint64_t>(v.w), static_cast<uint64_t>(v.h),
                static_cast<uint64_t>(v.n)},
       .stride = {sizeof(T), bytes(v.stride_w), bytes(v.stride_h), bytes(v.n == 1 ? v.h * v.stride_h : v.stride_n)},
       .box = {kBlock<std::remove_const_t<T>>, static_cast<uint32_t>(width), static_cast<uint32_t>(height), 1}});
}

template <class Tile, class T>
void multiply(const Context& context, const Convolution<T, T>& c, const std::vector<Source<T>>& sources,
              const Shape<T>& shape, const T* packed) {
  constexpr bool kTf32 = sizeof(T) == 4;
  Maps maps{};
  for (int i = 0; i < shape.sources; ++i) {
    maps.source[i] = image_map(sources[i].x, shape.width, shape.height + shape.taps_h - 1, kTf32);
  }
  for (int i = 0; i < shape.ranges; ++i) {
    const auto map = [&](const auto& view) {
      return image_map(view, shape.width, Tile::kN / shape.width, /*tf32=*/false);
    };
    if (shape.is_stored) maps.range[i] = map(c.range[i].out);
    if (shape.is_masked[i]) maps.mask[i] = map(c.range[i].x);
  }
  const uint64_t depth = static_cast<uint64_t>(shape.slabs()) * shape.taps_h * kBlock<T>;
  maps.filter = make_tensor_map({.base = packed,
                                 .element_bytes = sizeof(T),
                                 .tf32 = kTf32,
                                 .rank = 2,
                                 .size = {depth, static_cast<uint64_t>(shape.blocks()) * kBlock<T>},
                                 .stride = {sizeof(T), depth * sizeof(T)},
                                 .box = {kBlock<T>, Tile::kColumns}});
  const int blocks = std::min(shape.units(), device_info(context).multiprocessors);
  launch(context, implicit_gemm<T, Tile>,
         {.grid = dim3(blocks), .block = dim3(kThreads), .shared_bytes = Tile::kSharedBytes}, maps, shape);
}

template <class T>
bool has_form(const Context& context, const Convolution<T, T>& c) {
  if (!kHasSm90Code || device_info(context).capability != 90) return false;
  if (sizeof(T) == 4 && !context.tf32) return false;
  const bool taps_apart = c.stride == c.taps_h && c.stride == c.taps_w && c.stride <= 2 && c.pad_h == 0 && c.pad_w == 0;
  if (c.stride != 1 && !taps_apart) return false;
  if (!fits_tma(c.x) || (c.x2 && !fits_tma(c.x2))) return false;
  for (int i = 0; i < c.ranges; ++i) {
    const ColumnRange<T, T>& range = c.range[i];
    if (!fits_tma(range.out) || (range.x && !fits_tma(range.x)) || (!range.out && !c.pooled)) return false;
    if (range.begin % c.filter.period + range.out.c > c.filter.period) return false;
  }
  if (c.pooled && (c.ranges != 1 || !fits_tma(c.pooled))) return false;
  if (c.pool_code && !is_aligned(c.pool_code, 16 / static_cast<int64_t>(sizeof(T)))) return false;
  constexpr int64_t kMost = std::numeric_limits<int>::max();
  const int64_t tiles = c.n() * ceil_div(c.height(), 2) * ceil_div(c.width(), 8) * c.columns;
  if (c.x.h > kMost / 2 || c.x.w > kMost / 2 || tiles > kMost) return false;
  return true;
}

}  // namespace

template <class T>
std::vector<Plan> plans(const Context& context, const Convolution<T, T>& c) {
  std::vector<Plan> plans;
  if (!has_form(context, c)) return plans;
  for_each_plan(context, shape_of(c, sources_of(c)), [&](const Plan& plan) { plans.push_back(plan); });
  std::stable_sort(plans.begin(), plans.end(), [](const Plan& a, const Plan& b) { return a.cycles < b.cycles; });
  return plans;
}

template <class T>
bool choose(const Context& context, const Convolution<T, T>& c, Plan& best) {
  best.tile = -1;
  if (!has_form(context, c)) return false;
  for_each_plan(context, shape_of(c, sources_of(c)), [&](const Plan& plan) {
    if (best.tile < 0 || plan.cycles < best.cycles) best = plan;
  });
  return best.tile >= 0;
}

template <class T>
void convolve(const Context& context, const Convolution<T, T>& c, const Plan& plan) {
  const std::vector<Source<T>> sources = sources_of(c);
  Shape<T> shape = shape_of(c, sources);
  shape.height = plan.height, shape.width = plan.width, shape.splits = plan.splits;
  shape.patches_h = static_cast<int>(ceil_div(shape.result_h, plan.height));
  shape.patches_w = static_cast<int>(ceil_div(shape.result_w, plan.width));

  FilterSource filter{.order = c.filter};
  for (int i = 0; i < shape.sources; ++i) {
    filter.offset[i] = sources[i].filter_offset;
    filter.channels[i] = static_cast<int>(sources[i].x.c);
  }
  for (int i = 0; i < shape.ranges; ++i) filter.begin[i] = c.range[i].begin;
  const int steps = shape.slabs() * shape.taps_h;
  const int64_t columns = int64_t{shape.blocks()} * kBlock<T>, depth = int64_t{steps} * kBlock<T>;
  // Layouts of one filter differ where the first source and range end.
  const int kind = filter.channels[0] << 16 | shape.channels[0];
  const int64_t row_bytes = depth * int64_t{sizeof(T)};
  const PackedFilter packed(context, c.cache, {c.filter, kind, columns, row_bytes}, columns * row_bytes);
  if (!packed.is_filled()) {
    launch(context, pack<T>, {.grid = dim3(steps, shape.blocks()), .block = dim3(256)}, filter, shape,
           packed.template as<T>());
  }

  const int64_t pixels = c.n() * c.height() * c.width();
  const Scratch<float> partial(*context.workspace, shape.splits > 1 ? shape.splits * pixels * columns : 0);
  shape.partial = partial.data();
  Tiles::for_each([&]<class Tile>(int index) {
    if (index != plan.tile) return;
    shape.column_tiles = static_cast<int>(ceil_div(columns, Tile::kColumns));
    multiply<Tile>(context, c, sources, shape, packed.template as<T>());
  });
  if (shape.splits == 1) return;
  for (int i = 0; i < shape.ranges; ++i) {
    const int64_t blocks = ceil_div(pixels * shape.channels[i] / 4, 256);
    launch(context, add_partial<T>, {.grid = dim3(static_cast<unsigned>(blocks)), .block = dim3(256)}, shape, i,
           c.range[i].x, c.range[i].out);
  }
}

template std::vector<Plan> plans(const Context&, const Convolution<float, float>&);
template std::vector<Plan> plans(const Context&, const Convolution<bf16, bf16>&);
template bool choose(const Context&, const Convolution<float, float>&, Plan&);
template bool choose(const Context&, const Convolution<bf16, bf16>&, Plan&);
template void convolve(const Context&, const Convolution<float, float>&, const Plan&);
template void convolve(const Context&, const Convolution<bf16, bf16>&, const Plan&);

}  // namespace unet::kernels::gpu::sm90
