#include "kernels/cuda/implicit_gemm.cuh"

#include "kernels/cuda/narrow_convolution.cuh"
#include "kernels/cuda/packed_filter.cuh"
#include "kernels/cuda/sm90/convolution.cuh"

namespace unet::kernels::gpu {
namespace {

// One thread packs one chunk of one column. Neighbouring threads read neighbouring factors: of a column where its
// channels are neighbours (Conv2d), else of neighbouring columns. Reads the filter once, writes it once; bound: memory.
template <class T, bool kTf32>
__global__ void __launch_bounds__(256)
    pack_filter(const FilterOrder order, const Depth depth, int columns, int64_t padded_columns, T* packed) {
  const int64_t chunks = int64_t{depth.slices()} * kSliceChunks, count = chunks * padded_columns;
  const int64_t index = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (index >= count) return;
  const bool along_channels = order.channel_stride == 1;
  const int64_t column = along_channels ? index / chunks : index % padded_columns;
  const int chunk = static_cast<int>(along_channels ? index % chunks : index / padded_columns);

  const DepthPosition at = DepthPosition::at(depth, chunk);
  Vector<T, kChunk<T>> values;
  const int channel = at.chunk * kChunk<T>;
  const int channels = at.source > 1 || column >= columns ? 0 : depth.channels_of(at.source) - channel;
  const float* from = order.w + order.column(static_cast<int>(column)) + at.tap * order.tap_stride +
                      ((at.source == 0 ? 0 : depth.channels[0]) + channel) * order.channel_stride;
#pragma unroll
  for (int e = 0; e < kChunk<T>; ++e) {
    const float value = e < channels ? from[e * order.channel_stride] : 0.0F;
    if constexpr (kTf32) {
      values.values[e] = std::bit_cast<float>(to_tf32(value));
    } else {
      values.values[e] = T(value);
    }
  }
  store_vector(packed + (column * chunks + chunk) * kChunk<T>, values);
}

// The second pass over partial sums [splits][N,P,Q,pitch]: one thread adds those of kLength columns of a pixel, in the
// order of the splits, and ends as the first pass would have. Traffic: 4 * splits bytes read a result. Bound: memory,
// or L2 where the sums fit into it.
template <int kLength, class T, class O>
__global__ void __launch_bounds__(256)
    add_splits(const Convolution<T, O> c, const float* partial, int splits, int64_t split_stride, int64_t pitch) {
  const int64_t across = (c.columns + kLength - 1) / kLength;
  const int64_t index = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, pixel = index / across;
  if (pixel >= c.n() * c.height() * c.width()) return;
  const int j = static_cast<int>(index % across) * kLength;
  Vector<float, kLength> sums;
#pragma unroll
  for (int e = 0; e < kLength; ++e) sums.values[e] = c.bias(j + e);
  partial += pixel * pitch + j;
  for (int split = 0; split < splits; ++split, partial += split_stride) {
    const auto values = load_vector<kLength>(partial);
#pragma unroll
    for (int e = 0; e < kLength; ++e) sums.values[e] += values.values[e];
  }
#pragma unroll
  for (int e = 0; e < kLength; ++e) sums.values[e] = activate(sums.values[e], c.relu);
  const ColumnTarget<T, O> target(c, j);
  target.store(static_cast<int>(pixel / (c.height() * c.width())), static_cast<int>(pixel / c.width() % c.height()),
               static_cast<int>(pixel % c.width()), rounded<O>(sums));
}

unsigned blocks_of(int64_t threads) { return static_cast<unsigned>(ceil_div(threads, 256)); }

// How factors are multiplied: the product of a tile, and how many rows x columns of a slice a multiprocessor of
// capability 8.0 does in a clock. (A slice has 32 multiplications of bf16 each, or 16 of f32; a clock has 1024 of bf16,
// 512 of tf32 or 64 of f32.)
struct Bf16 {
  using Element = bf16;
  template <int kRows, int kColumns>
  using Product = TensorProduct<bf16, kRows, kColumns>;
  static constexpr bool kTf32 = false;
  static constexpr int kPerClock = 32;
};
struct Tf32 {
  using Element = float;
  template <int kRows, int kColumns>
  using Product = TensorProduct<float, kRows, kColumns>;
  static constexpr bool kTf32 = true;
  static constexpr int kPerClock = 32;
};
struct F32 {
  using Element = float;
  template <int kRows, int kColumns>
  using Product = FmaProduct<kRows, kColumns>;
  static constexpr bool kTf32 = false;
  static constexpr int kPerClock = 4;
};

struct Tile {
  int rows, columns;
};
constexpr Tile kTiles[] = {{64, 64}, {128, 64}, {128, 128}};

// How a convolution is cut into blocks.
struct Plan {
  int tile = 0;    // of kTiles
  int splits = 1;  // of the depth
};

template <class T, class O>
int64_t row_tiles(const Convolution<T, O>& c, const Tile& tile) {
  return c.pooled ? c.n() * ceil_div(c.height(), 8) * ceil_div(c.width(), tile.rows / 8)
                  : ceil_div(c.n() * c.height() * c.width(), tile.rows);
}

// Note [Choice of a plan]
//
// The cost of a plan is an estimate of the clocks that the busiest multiprocessor needs: its blocks, one after another
// (two that run beside each other hide each other's latency but share the units), each with its slices, a start and an
// end. A slice costs its multiplications and, at 64 bytes a clock from L2, its rows and columns. Splitting the depth
// fills the multiprocessors where images are small, and costs a second kernel and the traffic of the partial sums. The
// numbers are the architecture's peaks; none of them was fitted to a measurement. Splits depend on the image's size, so
// ConvolutionMode::direct has none; the tile never changes a result.
template <class Arithmetic, class T, class O>
Plan choose_plan(const Context& context, const Convolution<T, O>& c, const Depth& depth) {
  constexpr int kMinSlices = 16, kMaxSplits = 8;
  constexpr double kBlockClocks = 1500, kSecondPassClocks = 4000, kBytesPerClock = 16;
  const int processors = device_info(context).multiprocessors;
  const bool may_split = context.convolution == ConvolutionMode::fast && !c.pooled;
  Plan best;
  double least = -1;
  for (int t = 0; t < static_cast<int>(std::size(kTiles)); ++t) {
    const Tile& tile = kTiles[t];
    const int64_t tiles = row_tiles(c, tile) * ceil_div(c.columns, tile.columns);
    const double slice_clocks = 1.0 * tile.rows * tile.columns / Arithmetic::kPerClock + tile.rows + tile.columns;
    for (int splits = 1; splits <= (may_split ? kMaxSplits : 1); ++splits) {
      const int64_t slices = ceil_div(depth.slices(), splits);
      if (splits > 1 && (slices < kMinSlices || (splits - 1) * slices >= depth.slices())) continue;
      const double block = kBlockClocks + tile.rows * tile.columns / kBytesPerClock * sizeof(O) +
                           slice_clocks * static_cast<double>(slices);
      double clocks = static_cast<double>(ceil_div(tiles * splits, processors)) * block;
      if (splits > 1) {
        const double sums = static_cast<double>(c.n() * c.height() * c.width()) * c.columns;
        clocks += kSecondPassClocks + 2.0 * splits * sums * sizeof(float) / (processors * kBytesPerClock);
      }
      if (least < 0 || clocks < least) least = clocks, best = {t, splits};
    }
  }
  return best;
}

template <class Arithmetic, Fetch kFetch, int kTile, class T, class O>
void launch_tile(const Context& context, const ImplicitGemm<T, O>& gemm, int splits) {
  constexpr Tile tile = kTiles[kTile];
  using Product = typename Arithmetic::template Product<tile.rows, tile.columns>;
  const int64_t blocks = row_tiles(gemm.convolution, tile) * gemm.column_tiles;
  launch(context, implicit_gemm<Product, kFetch, tile.rows, tile.columns, O>,
         {.grid = dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(splits)),
          .block = dim3(Product::kThreads),
          .shared_bytes = implicit_gemm_shared_bytes<O, tile.rows, tile.columns>()},
         gemm);
}

template <class Arithmetic, Fetch kFetch, class T, class O>
void launch_plan(const Context& context, const ImplicitGemm<T, O>& gemm, const Plan& plan) {
  if (plan.tile == 2) return launch_tile<Arithmetic, kFetch, 2>(context, gemm, plan.splits);
  if (plan.tile == 1) return launch_tile<Arithmetic, kFetch, 1>(context, gemm, plan.splits);
  launch_tile<Arithmetic, kFetch, 0>(context, gemm, plan.splits);
}

template <class Arithmetic, class T, class O>
void launch_gemm(const Context& context, const ImplicitGemm<T, O>& gemm, const Plan& plan) {
  const auto& c = gemm.convolution;
  if (!is_aligned(c.x, kChunk<T>) || (c.x2 && !is_aligned(c.x2, kChunk<T>))) {
    launch_tile<Arithmetic, Fetch::elements, 0>(context, gemm, plan.splits);
  } else if (c.pad_h > 0 || c.pad_w > 0) {
    launch_plan<Arithmetic, Fetch::bounded>(context, gemm, plan);
  } else {
    launch_plan<Arithmetic, Fetch::inside>(context, gemm, plan);
  }
}

template <class Arithmetic, class T, class O>
void multiply(const Context& context, const Convolution<T, O>& c) {
  const Depth depth = Depth::of<T>(c.taps_h * c.taps_w, static_cast<int>(c.x.c), static_cast<int>(c.x2.c));
  Plan plan = choose_plan<Arithmetic>(context, c, depth);
  if (!is_aligned(c.x, kChunk<T>) || (c.x2 && !is_aligned(c.x2, kChunk<T>))) plan.tile = 0;
  const int64_t column_tiles = ceil_div(c.columns, kTiles[plan.tile].columns);
  const int64_t padded_columns = column_tiles * kTiles[plan.tile].columns;
  const int64_t chunks = padded_columns * depth.slices() * kSliceChunks;
  const PackedFilter packed(context, c.cache,
                            {.order = c.filter,
                             .kind = static_cast<int>(sizeof(T)) + Arithmetic::kTf32,
                             .columns = padded_columns,
                             .depth = chunks},
                            chunks * kChunkBytes);
  if (!packed.is_filled()) {
    launch(context, pack_filter<T, Arithmetic::kTf32>, {.grid = dim3(blocks_of(chunks)), .block = dim3(256)}, c.filter,
           depth, c.columns, padded_columns, packed.as<T>());
  }

  const auto gemm_of = [&]<class Y>(const Convolution<T, Y>& convolution) {
    return ImplicitGemm<T, Y>{.convolution = convolution,
                              .depth = depth,
                              .filter = packed.as<T>(),
                              .column_tiles = static_cast<int>(column_tiles),
                              .slices = static_cast<int>(ceil_div(depth.slices(), plan.splits)),
                              .patches = bool(convolution.pooled),
                              .vectors = has_aligned_results(convolution, kChunkBytes / sizeof(Y))};
  };
  if (plan.splits == 1) return launch_gemm<Arithmetic>(context, gemm_of(c), plan);

  const int64_t pitch = round_up(c.columns, 4), split_stride = c.n() * c.height() * c.width() * pitch;
  const Scratch<float> partial(*context.workspace, plan.splits * split_stride);
  Convolution<T, float> sums{.x = c.x,
                             .x2 = c.x2,
                             .taps_h = c.taps_h,
                             .taps_w = c.taps_w,
                             .stride = c.stride,
                             .pad_h = c.pad_h,
                             .pad_w = c.pad_w,
                             .filter = c.filter,
                             .columns = static_cast<int>(pitch)};
  sums.range[0].out = View<float>::nhwc(partial.data(), c.n(), c.height(), c.width(), pitch);
  ImplicitGemm<T, float> gemm = gemm_of(sums);
  gemm.split_stride = split_stride;
  launch_gemm<Arithmetic>(context, gemm, plan);

  const bool vectors = has_aligned_results(c, 4);
  const int64_t threads = c.n() * c.height() * c.width() * ceil_div(c.columns, vectors ? 4 : 1);
  launch(context, vectors ? add_splits<4, T, O> : add_splits<1, T, O>,
         {.grid = dim3(blocks_of(threads)), .block = dim3(256)}, c, partial.data(), plan.splits, split_stride, pitch);
}

}  // namespace

template <class T, class O>
void convolve(const Context& context, const Convolution<T, O>& c) {
  if (has_few_channels(c)) return convolve_few_channels(context, c.x, c);
  if (has_few_columns(c)) return convolve_few_columns(context, c);
  if constexpr (std::is_same_v<T, O>) {
    if (sm90::Plan plan; sm90::choose(context, c, plan)) return sm90::convolve(context, c, plan);
  }
  if constexpr (std::is_same_v<T, bf16>) {
    multiply<Bf16>(context, c);
  } else if (context.tf32) {
    multiply<Tf32>(context, c);
  } else {
    multiply<F32>(context, c);
  }
}

template void convolve(const Context&, const Convolution<float, float>&);
template void convolve(const Context&, const Convolution<bf16, bf16>&);
template void convolve(const Context&, const Convolution<bf16, float>&);

}  // namespace unet::kernels::gpu
