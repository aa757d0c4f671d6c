#include "kernels/cuda/filter_gradient.cuh"

#include "kernels/cuda/filter_gradient_narrow.cuh"
#include "kernels/cuda/filter_gradient_tiles.cuh"

namespace unet::kernels::gpu {
namespace {

// Note [Splits]
// A layer with few channels has few tiles of dw but many pixels, so several blocks share a tile: each sums a fixed part
// of the pixels (a split) into memory of its own, and a second kernel adds the parts in their order. No atomics: the
// result is the same in every run.

/// to[i] = sum over parts of from[part][i], in the order of the parts.
struct PartialSums {
  const float* from = nullptr;  // [parts][length]
  float* to = nullptr;          // [length]
  int parts = 0;
  int64_t length = 0;
};

constexpr int kSumLanes = 8, kSumColumns = 32;

/// Grid (groups of 32 elements of `first`, then of `second`). Lane y of a column adds every 8th part; the eight sums
/// are added in their order. Traffic: each part once. Bound: memory, mostly the L2 cache that the parts are still in.
__global__ __launch_bounds__(kSumLanes* kSumColumns) void add_partial_sums(const PartialSums first,
                                                                           const PartialSums second) {
  UNET_SHARED(float[kSumLanes][kSumColumns], sums);
  const int64_t first_groups = (first.length + kSumColumns - 1) / kSumColumns;
  const bool is_first = blockIdx.x < first_groups;
  const float* from = is_first ? first.from : second.from;
  float* to = is_first ? first.to : second.to;
  const int parts = is_first ? first.parts : second.parts;
  const int64_t length = is_first ? first.length : second.length;
  const int lane = static_cast<int>(threadIdx.y), column = static_cast<int>(threadIdx.x);
  const int64_t i = (blockIdx.x - (is_first ? 0 : first_groups)) * kSumColumns + column;
  float sum = 0;
  if (i < length) {
    for (int part = lane; part < parts; part += kSumLanes) sum += from[part * length + i];
  }
  sums[lane][column] = sum;
  __syncthreads();
  if (lane > 0 || i >= length) return;
  for (int l = 1; l < kSumLanes; ++l) sum += sums[l][column];
  to[i] = sum;
}

/// Where the parts of dw and db are summed until add() adds them up. A single part is the result itself.
class Parts {
 public:
  Parts(const Context& context, const View<float>& dw, int dw_parts, const View<float>& db, int db_parts)
      : context_(context), scratch_(*context.workspace, 1 + stored(dw, dw_parts) + stored(db, db_parts)) {
    float* next = scratch_.data();
    plan(dw_, next, dw, dw_parts);
    plan(db_, next, db, db_parts);
  }
  float* dw() const { return dw_.to; }
  float* db() const { return db_.to; }

  void add() const {
    const auto sums = [](const Side& side) {
      return side.result == side.to ? PartialSums{} : PartialSums{side.to, side.result, side.parts, side.length};
    };
    const PartialSums first = sums(dw_), second = sums(db_);
    const int64_t groups = ceil_div(first.length, kSumColumns) + ceil_div(second.length, kSumColumns);
    if (groups == 0) return;
    launch(context_, add_partial_sums,
           {.grid = dim3(static_cast<unsigned>(groups)), .block = dim3(kSumColumns, kSumLanes)}, first, second);
  }

 private:
  struct Side {
    float *result = nullptr, *to = nullptr;
    int parts = 0;
    int64_t length = 0;
  };
  static int64_t stored(const View<float>& out, int parts) { return out && parts > 1 ? parts * out.size() : 0; }
  static void plan(Side& side, float*& next, const View<float>& out, int parts) {
    side = {.result = out.data, .to = parts > 1 && out ? next : out.data, .parts = parts, .length = out.size()};
    next += stored(out, parts);
  }

  const Context& context_;
  Scratch<float> scratch_;
  Side dw_, db_;
};

// ------------------------------------------------------------------------------------------------ matrix products

/// Rows and columns of the patches into which images of height x width pixels are divided.
struct Patch {
  int h = 1, w = 1;
};

/// The patches with the least work, by estimate: pixels multiplied, those behind the edges included, a little more
/// where groups of eight are not of one row and so meet banks of shared memory twice; and, at a quarter of their price,
/// pixels copied.
template <class Shape>
Patch choose_patch(int64_t height, int64_t width, size_t shared_bytes) {
  constexpr int kMaxHalo = 255;  // SmallDivisor
  Patch best;
  double least = 0;
  for (int64_t across = 1; across <= width; ++across) {
    const auto w = static_cast<int>(ceil_div(width, across));
    if (w > Shape::kMaxPixels) continue;
    for (int64_t h = height < Shape::kMaxPixels / w ? height : Shape::kMaxPixels / w; h >= 1; --h) {
      const int64_t down = ceil_div(height, h);
      const auto rows = static_cast<int>(ceil_div(height, down));
      const int multiplied = Shape::g_pixels(rows, w), halo = Shape::x_pixels(rows, w);
      if (halo > kMaxHalo || Shape::shared_bytes(rows, w) > shared_bytes) continue;
      const double work =
          static_cast<double>(across * down) * ((w % 8 == 0 ? 1 : 1.05) * multiplied + 0.25 * (multiplied + halo) + 8);
      if (least == 0 || work < least) least = work, best = {rows, w};
    }
    if (w <= 4) break;  // narrower ones are mostly halo
  }
  return best;
}

/// How many blocks share a tile. Costs in pixels' worth of a block's time, by estimate: 64 for its start and end, 4 for
/// a part of a tile written and read again.
int choose_splits(int64_t tiles, int64_t patches, int patch_pixels, int64_t resident_blocks) {
  int64_t best = 1, least = 0;
  const int64_t most = patches < 2 * resident_blocks ? patches : 2 * resident_blocks;
  for (int64_t splits = 1; splits <= most; ++splits) {
    const int64_t waves = ceil_div(tiles * splits, resident_blocks);
    const int64_t cost =
        waves * (ceil_div(patches, splits) * patch_pixels + 64) + (splits > 1 ? 4 * splits * tiles : 0);
    if (least == 0 || cost < least) least = cost, best = splits;
  }
  return static_cast<int>(best);
}

template <class Shape, class X, class G>
void run_tiles(const Context& context, const View<const X>& x, const View<const X>& x2, const View<const G>& g,
               const View<float>& dw, const View<float>& db, bool transposed) {
  const DeviceInfo& device = device_info(context);
  TileTask<X, G> task{.x = x, .x2 = x2, .g = g};
  if (transposed) {  // the pixels of tap (0,0)
    task.g_tap_h = g.stride_h, task.g_tap_w = g.stride_w, task.x_tap = 0;
    task.g.h = x.h, task.g.w = x.w, task.g.stride_h *= 2, task.g.stride_w *= 2;
  }
  task.taps_h = static_cast<int>(dw.h), task.taps_w = static_cast<int>(dw.w);
  constexpr size_t kReserved = 1024;  // bytes of shared memory that the system takes of each block
  const size_t most_shared = (device.shared_bytes_per_block + kReserved) / Shape::kBlocks - kReserved;
  const Patch patch = choose_patch<Shape>(task.g.h, task.g.w, most_shared);
  task.patch_h = patch.h, task.patch_w = patch.w;
  task.patches_h = static_cast<int>(ceil_div(task.g.h, patch.h));
  task.patches_w = static_cast<int>(ceil_div(task.g.w, patch.w));
  const int64_t patches = g.n * task.patches_h * task.patches_w;
  task.patches = static_cast<int>(patches);
  const int64_t tap_tiles = ceil_div(dw.h, Shape::kTaps) * ceil_div(dw.w, Shape::kTaps);
  const int64_t tiles = ceil_div(dw.n, Shape::kRowTile) * ceil_div(dw.c, Shape::kColumnTile) * tap_tiles;
  const size_t shared_bytes = Shape::shared_bytes(patch.h, patch.w);
  const int splits = choose_splits(tiles, patches, patch.h * patch.w, device.multiprocessors * Shape::kBlocks);

  const int db_parts = transposed ? splits * static_cast<int>(tap_tiles) : splits;
  const Parts parts(context, dw, splits, db, db_parts);
  task.dw = parts.dw(), task.db = parts.db();
  const LaunchShape launch_shape{.grid = dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(splits)),
                                 .block = dim3(Shape::kThreads),
                                 .shared_bytes = shared_bytes};
  if constexpr (std::is_same_v<X, G>) {
    constexpr int kLength = kChunkLength<X>;
    if (is_aligned(x, kLength) && is_aligned(x2, kLength) && is_aligned(g, kLength)) {
      launch(context, filter_gradient_tiles<X, G, Shape, true>, launch_shape, task);
      return parts.add();
    }
  }
  launch(context, filter_gradient_tiles<X, G, Shape, false>, launch_shape, task);
  parts.add();
}

/// The tile of a filter's taps: one of 128 x 128 channels (64 x 128 for few outputs), or nine of 64 x 64 or 32 x 32.
template <template <int, int, int, int, int> class Product, class X, class G>
void run_product(const Context& context, const View<const X>& x, const View<const X>& x2, const View<const G>& g,
                 const View<float>& dw, const View<float>& db, bool transposed) {
  if (transposed || dw.h * dw.w == 1) {
    if (dw.n > 64) {
      run_tiles<TileShape<Product, 2, 4, 64, 32, 1, 2>>(context, x, x2, g, dw, db, transposed);
    } else {
      run_tiles<TileShape<Product, 1, 4, 64, 32, 1, 4>>(context, x, x2, g, dw, db, transposed);
    }
  } else if (dw.n > 32 && dw.c > 32) {
    run_tiles<TileShape<Product, 1, 4, 64, 16, 3, 1>>(context, x, x2, g, dw, db, transposed);
  } else {
    run_tiles<TileShape<Product, 1, 2, 32, 16, 3, 2>>(context, x, x2, g, dw, db, transposed);
  }
}

// ------------------------------------------------------------------------------------------- few channels on a side

template <int kTaps, int kNarrow, class Wide, class Narrow>
void run_narrow(const Context& context, NarrowTask<Wide, Narrow> task, const View<float>& dw, const View<float>& db) {
  const View<const Wide>& wide = task.wide;
  constexpr int kTile = kNarrowLanes * kNarrowLength, kGroups = kNarrowThreads / kNarrowLanes;
  const int64_t tiles = ceil_div(wide.c, kTile);
  task.segments = static_cast<int>(ceil_div(wide.w, kNarrowSegment));
  task.items = wide.n * wide.h * task.segments;
  const int64_t most = ceil_div(4 * device_info(context).multiprocessors, tiles),
                useful = ceil_div(task.items, kGroups);
  const auto splits = static_cast<int>(most < useful ? most : useful);
  const Parts parts(context, dw, splits, db, splits);
  task.dw = parts.dw(), task.db = parts.db(), task.length = dw.size();
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(splits)),
                          .block = dim3(kNarrowThreads)};
  if (is_aligned(wide, kNarrowLength)) {
    launch(context, filter_gradient_narrow<Wide, Narrow, kTaps, kNarrow, true>, shape, task);
  } else {
    launch(context, filter_gradient_narrow<Wide, Narrow, kTaps, kNarrow, false>, shape, task);
  }
  parts.add();
}

template <class G>
void run_bias(const Context& context, const View<const G>& g, const View<float>& db) {
  run_narrow<1, 0>(context, NarrowTask<G, G>{.wide = g}, View<float>{}, db);
}

/// First layer: few channels of x. False where no kernel suits.
template <class T>
bool run_few_inputs(const Context& context, const View<const T>& x, const View<const T>& g, const View<float>& dw,
                    const View<float>& db) {
  if (dw.h != 3 || dw.w != 3 || x.c > 3 || x.stride_w != x.c) return false;
  const NarrowTask<T, T> task{.wide = g, .narrow = x, .wide_stride = 9 * x.c, .tap_stride = x.c, .narrow_stride = 1};
  if (x.c == 1) run_narrow<3, 1>(context, task, dw, db);
  if (x.c == 2) run_narrow<3, 2>(context, task, dw, db);
  if (x.c == 3) run_narrow<3, 3>(context, task, dw, db);
  return true;
}

/// 1x1 filters with few outputs: the head. False where no kernel suits.
template <class T, class G>
bool run_few_outputs(const Context& context, const View<const T>& x, const View<const G>& g, const View<float>& dw,
                     const View<float>& db) {
  if (dw.h != 1 || dw.w != 1 || g.c > 4 || g.stride_w != g.c) return false;
  const NarrowTask<T, G> task{.wide = x, .narrow = g, .bias_of_narrow = true, .wide_stride = 1, .narrow_stride = x.c};
  if (g.c == 1) run_narrow<1, 1>(context, task, dw, db);
  if (g.c == 2) run_narrow<1, 2>(context, task, dw, db);
  if (g.c == 3) run_narrow<1, 3>(context, task, dw, db);
  if (g.c == 4) run_narrow<1, 4>(context, task, dw, db);
  return true;
}

// ---------------------------------------------------------------------------------------------------------- dispatch

template <class T, class G>
void run_gradient(const Context& context, const FilterGradient<T>& o, const View<const G>& g) {
  if (!o.dw) {
    if (o.db) run_bias(context, g, o.db);
    return;
  }
  if (!o.transposed && !o.x2) {
    if constexpr (std::is_same_v<T, G>) {
      if (run_few_inputs(context, o.x, g, o.dw, o.db)) return;
    }
    if (run_few_outputs(context, o.x, g, o.dw, o.db)) return;
  }
  if constexpr (!std::is_same_v<T, G>) {
    run_product<F32Product>(context, o.x, o.x2, g, o.dw, o.db, o.transposed);
  } else if constexpr (std::is_same_v<T, bf16>) {
    run_product<Bf16Product>(context, o.x, o.x2, g, o.dw, o.db, o.transposed);
  } else if (context.tf32) {
    run_product<Tf32Product>(context, o.x, o.x2, g, o.dw, o.db, o.transposed);
  } else {
    run_product<F32Product>(context, o.x, o.x2, g, o.dw, o.db, o.transposed);
  }
}

}  // namespace

template <class T>
void filter_gradient(const Context& context, const FilterGradient<T>& gradient) {
  if (gradient.g) {
    run_gradient(context, gradient, gradient.g);
  } else {
    run_gradient(context, gradient, gradient.g_wide);
  }
}

template void filter_gradient(const Context&, const FilterGradient<float>&);
template void filter_gradient(const Context&, const FilterGradient<bf16>&);

}  // namespace unet::kernels::gpu
