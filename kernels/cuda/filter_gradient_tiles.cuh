// Filter gradients as matrix products: rows are output channels, columns are input channels, and the sum runs over
// pixels. One block computes kRowTile x kColumnTile channels of kTaps x kTaps taps.
//
// A block walks over patches of g, each with the halo of x that its taps see, so that all taps are served by one load.
// The blocks of one tile divide the patches among them; see filter_gradient.cu for the sum of their results.
#pragma once

#include "kernels/cuda/filter_gradient_product.cuh"

namespace unet::kernels::gpu {

/// Elements in 16 bytes.
template <class T>
inline constexpr int kChunkLength = 16 / sizeof(T);

/// What the blocks are told. A pixel of g is one that is multiplied: for ConvTranspose2d, the view strides over every
/// other row and column.
template <class X, class G>
struct TileTask {
  View<const X> x, x2;  // [N,H,W,C1], [N,H,W,C2] or empty
  View<const G> g;      // [N,P,Q,K] for the first tap
  int64_t g_tap_h = 0;  // elements from the g of a tap to that of the tap below, and to its right: Conv2d 0
  int64_t g_tap_w = 0;
  int x_tap = 1;                     // pixels by which x moves from tap to tap: Conv2d 1, ConvTranspose2d 0
  int taps_h = 1, taps_w = 1;        // R, S
  int patch_h = 1, patch_w = 1;      // pixels of g
  int patches_h = 1, patches_w = 1;  // of an image
  int patches = 1;                   // of all images
  float* dw = nullptr;               // [splits][K,R,S,C1+C2]
  float* db = nullptr;               // [splits][K], for ConvTranspose2d [R*S][splits][K], or null
};

/// Warps, tile and shared memory of a kernel, of which kBlocksPerMultiprocessor are expected to run beside each other.
template <template <int, int, int, int, int> class ProductOf, int kRowWarps, int kColumnWarps, int kWarpRows,
          int kWarpColumns, int kTileTaps, int kBlocksPerMultiprocessor>
struct TileShape {
  static constexpr int kBlocks = kBlocksPerMultiprocessor;
  static constexpr int kTaps = kTileTaps, kRows = kWarpRows, kColumns = kWarpColumns;  // of a warp
  static constexpr int kRowTile = kRowWarps * kRows, kColumnTile = kColumnWarps * kColumns;
  static constexpr int kColumnParts = kColumnWarps;
  static constexpr int kThreads = 32 * kRowWarps * kColumnWarps * kTaps;  // a warp has a row of taps
  static constexpr int kStages = 3;
  static constexpr int kMaxPixels = 128;  // of a patch
  using Product = ProductOf<kRowTile, kColumnTile, kRows, kColumns, kTaps>;
  using Element = typename Product::Element;

  static constexpr int g_pixels(int patch_h, int patch_w) {
    return (patch_h * patch_w + Product::kDepth - 1) / Product::kDepth * Product::kDepth;
  }
  static constexpr int x_pixels(int patch_h, int patch_w) { return (patch_h + kTaps - 1) * (patch_w + kTaps - 1); }
  static constexpr int stage_length(int patch_h, int patch_w) {
    return g_pixels(patch_h, patch_w) * tile_pitch(kRowTile) + x_pixels(patch_h, patch_w) * tile_pitch(kColumnTile);
  }
  static constexpr size_t shared_bytes(int patch_h, int patch_w) {
    const size_t stages = kStages * sizeof(Element) * static_cast<size_t>(stage_length(patch_h, patch_w));
    const size_t bias = sizeof(float) * kThreads * kChunkLength<Element>;
    return kMaxPixels * sizeof(int) + (stages > bias ? stages : bias);
  }
};

/// Quotients of numbers below 256 by one divisor below 256.
class SmallDivisor {
 public:
  __device__ explicit SmallDivisor(int divisor) : divisor_(divisor), reciprocal_((1 << 16) / divisor + 1) {}
  __device__ __forceinline__ int quotient(int n) const { return n * reciprocal_ >> 16; }
  __device__ __forceinline__ int remainder(int n) const { return n - quotient(n) * divisor_; }

 private:
  int divisor_, reciprocal_;
};

/// A rectangle of an image that becomes a tile in shared memory: row by row, zero where it leaves the image.
struct Rectangle {
  int64_t n;
  int top, left;  // in the image
  int rows, columns;
};

/// Copies kChannels channels of rectangles of cat(first, second) into tiles. A thread copies 16 bytes at a time, always
/// the same channels: neighbouring threads are neighbouring channels, then pixels.
template <class Element, class Source, int kChannels, int kThreads, bool kVector>
class TileLoader {
 public:
  static constexpr int kLength = kChunkLength<Element>;
  static constexpr int kChunks = kChannels / kLength;  // of a pixel
  static constexpr int kPixels = kThreads / kChunks;   // copied at a time
  static_assert(kThreads % kChunks == 0);

  __device__ TileLoader(const View<const Source>& first, const View<const Source>& second, int channel)
      : first_(first), second_(second), channel_(channel + static_cast<int>(threadIdx.x) % kChunks * kLength) {}

  /// Fills `pixels` pixels of the tile; those behind the rectangle become zero. Vectors arrive with the thread's
  /// cp.async group.
  __device__ __forceinline__ void load(Element* tile, const Rectangle& rectangle, int pixels) const {
    // The source of this thread's channels, field by field: a chosen view would be a copy of both in local memory.
    const bool is_second = channel_ >= first_.c;
    const int64_t c = channel_ - (is_second ? first_.c : 0), channels = is_second ? second_.c : first_.c;
    const int64_t stride_h = is_second ? second_.stride_h : first_.stride_h;
    const int64_t stride_w = is_second ? second_.stride_w : first_.stride_w;
    const Source* image =
        is_second ? second_.data + rectangle.n * second_.stride_n : first_.data + rectangle.n * first_.stride_n;
    const SmallDivisor columns(rectangle.columns);
    const int rows_end = min(rectangle.rows, static_cast<int>(first_.h) - rectangle.top);
    const int columns_end = static_cast<int>(first_.w) - rectangle.left;
    for_each_chunk(tile, pixels, [&](int pixel, Element* to) {
      const int row = columns.quotient(pixel), column = columns.remainder(pixel);
      const bool is_inside = row < rows_end && column < columns_end;
      const int64_t h = rectangle.top + row, w = rectangle.left + column;
      if constexpr (kVector) {
        const bool is_valid = is_inside && c < channels;
        cp_async_16(to, is_valid ? image + h * stride_h + w * stride_w + c : first_.data, is_valid ? 16 : 0);
      } else {
#pragma unroll 2
        for (int i = 0; i < kLength; ++i) {
          to[i] = Element(is_inside ? read(rectangle.n, h, w, channel_ + i) : 0.0F);
        }
      }
    });
  }

  /// Calls visit(pixel, address) for the chunks of a tile that this thread copies.
  template <class Visit>
  __device__ __forceinline__ static void for_each_chunk(Element* tile, int pixels, Visit visit) {
    const int thread = static_cast<int>(threadIdx.x);
#pragma unroll 1
    for (int pixel = thread / kChunks; pixel < pixels; pixel += kPixels) {
      visit(pixel, tile + pixel * tile_pitch(kChannels) + thread % kChunks * kLength);
    }
  }

 private:
  __device__ __forceinline__ float read(int64_t n, int64_t h, int64_t w, int channel) const {
    if (channel < first_.c) {
      return float(first_.data[n * first_.stride_n + h * first_.stride_h + w * first_.stride_w + channel]);
    }
    const int64_t c = channel - first_.c;
    if (c >= second_.c) return 0;
    return float(second_.data[n * second_.stride_n + h * second_.stride_h + w * second_.stride_w + c]);
  }

  const View<const Source>&first_, &second_;
  int channel_;
};

/// Grid (tiles of taps x tiles of K x tiles of C, splits). A block keeps three patches in flight: one is multiplied
/// while two are on their way. A warp multiplies kRows x kColumns channels of the kTaps taps of one filter row; all
/// sums of a block, kTaps*kTaps*kRowTile*kColumnTile, are in registers.
///
/// Shared bytes: TileShape::shared_bytes. Traffic: for each pixel of g, kRowTile channels of g and, times the share of
/// the halo, kColumnTile of x, for kTaps*kTaps*kRowTile*kColumnTile products: with 64 x 64 channels, 9 taps, bf16 and
/// 8x16 patches 240 operations a byte of the L2 cache. Bound: the tensor cores (f32: the FMA units).
template <class X, class G, class Shape, bool kVector>
__global__ __launch_bounds__(Shape::kThreads) void filter_gradient_tiles(const TileTask<X, G> task) {
  using Element = typename Shape::Element;
  constexpr int kTaps = Shape::kTaps, kThreads = Shape::kThreads;
  constexpr int kGPitch = tile_pitch(Shape::kRowTile), kXPitch = tile_pitch(Shape::kColumnTile);
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32;

  // The block's channels and taps.
  const int channels = static_cast<int>(task.x.c + task.x2.c), filters = static_cast<int>(task.g.c);
  const int column_tiles = (channels + Shape::kColumnTile - 1) / Shape::kColumnTile;
  const int row_tiles = (filters + Shape::kRowTile - 1) / Shape::kRowTile;
  const int tile = static_cast<int>(blockIdx.x);
  const int c0 = tile % column_tiles * Shape::kColumnTile;
  const int k0 = tile / column_tiles % row_tiles * Shape::kRowTile;
  const int tap_tile = tile / (column_tiles * row_tiles), tap_tiles_w = (task.taps_w + kTaps - 1) / kTaps;
  const int r0 = tap_tile / tap_tiles_w * kTaps, s0 = tap_tile % tap_tiles_w * kTaps;
  const bool is_transposed = task.x_tap == 0;  // then each tap has a g of its own
  const bool has_bias = task.db != nullptr && c0 == 0 && (tap_tile == 0 || is_transposed);

  // Its patches, and where in a tile of x the pixels of a tile of g begin.
  const int split = static_cast<int>(blockIdx.y), splits = static_cast<int>(gridDim.y);
  const int first = static_cast<int>(int64_t{task.patches} * split / splits);
  const int last = static_cast<int>(int64_t{task.patches} * (split + 1) / splits);
  const int x_columns = task.patch_w + kTaps - 1;
  const int g_pixels = Shape::g_pixels(task.patch_h, task.patch_w);
  const int x_pixels = Shape::x_pixels(task.patch_h, task.patch_w);
  int* x_pixel = dynamic_shared<int>();
  Element* stages = reinterpret_cast<Element*>(x_pixel + Shape::kMaxPixels);
  const int stage_length = Shape::stage_length(task.patch_h, task.patch_w);
  for (int i = thread; i < g_pixels; i += kThreads) {  // pixels behind the patch have g = 0: the x of the first will do
    const bool is_inside = i < task.patch_h * task.patch_w;
    x_pixel[i] = is_inside ? (i / task.patch_w * x_columns + i % task.patch_w) * kXPitch : 0;
  }

  View<const G> g = task.g;
  g.data += r0 * task.g_tap_h + s0 * task.g_tap_w;
  const View<const G> none;
  using GLoader = TileLoader<Element, G, Shape::kRowTile, kThreads, kVector>;
  using XLoader = TileLoader<Element, X, Shape::kColumnTile, kThreads, kVector>;
  const GLoader g_loader(g, none, k0);
  const XLoader x_loader(task.x, task.x2, c0);
  const auto load = [&](int patch, int stage) {
    const int of_image = task.patches_h * task.patches_w;
    const int n = patch / of_image, top = patch % of_image / task.patches_w * task.patch_h;
    const int left = patch % task.patches_w * task.patch_w;
    Element* tiles = stages + stage * stage_length;
    g_loader.load(tiles, {n, top, left, task.patch_h, task.patch_w}, g_pixels);
    x_loader.load(tiles + g_pixels * kGPitch,
                  {n, top + r0 * task.x_tap, left + s0 * task.x_tap, task.patch_h + kTaps - 1, x_columns}, x_pixels);
  };

  const int column_warp = warp % Shape::kColumnParts, tap_row = warp / Shape::kColumnParts % kTaps;
  const int row_warp = warp / (Shape::kColumnParts * kTaps);
  using Product = typename Shape::Product;
  Product product;
  constexpr int kLength = GLoader::kLength;
  float bias[kLength] = {};

  // What a thread does to the chunks that it has copied, before other threads see them.
  const auto round = [](Element* at) {
    if constexpr (Product::kRounds) {
      auto chunk = load_vector<kLength>(at);
#pragma unroll
      for (int i = 0; i < kLength; ++i) chunk.values[i] = Product::round(chunk.values[i]);
      store_vector(at, chunk);
    }
  };
  const auto add_to_bias = [&](const Element* at) {
    const auto chunk = load_vector<kLength>(at);
#pragma unroll
    for (int i = 0; i < kLength; ++i) bias[i] += float(chunk.values[i]);
  };

  int stage = 1;
  for (int patch = first - (Shape::kStages - 1); patch < last; ++patch) {  // the first rounds only load
    cp_async_wait<Shape::kStages - 2>();
    Element* g_tile = stages + stage * stage_length;
    Element* x_tile = g_tile + g_pixels * kGPitch;
    if (patch >= first && (has_bias || Product::kRounds)) {
      GLoader::for_each_chunk(g_tile, g_pixels, [&](int, Element* at) {
        if (has_bias) add_to_bias(at);
        round(at);
      });
      if constexpr (Product::kRounds) XLoader::for_each_chunk(x_tile, x_pixels, [&](int, Element* at) { round(at); });
    }
    __syncthreads();  // the patch is there, and the one before it is done with
    const int next = patch + Shape::kStages - 1;
    if (next < last) load(next, (stage + Shape::kStages - 1) % Shape::kStages);
    cp_async_commit();
    if (patch >= first) {
      product.multiply(g_tile + row_warp * Shape::kRows,
                       x_tile + tap_row * x_columns * kXPitch + column_warp * Shape::kColumns, x_pixel, g_pixels);
    }
    stage = (stage + 1) % Shape::kStages;
  }

  float* dw = task.dw + int64_t{split} * filters * task.taps_h * task.taps_w * channels;
  product.sums.for_each([&](int tap_column, int row, int column, float sum) {
    const int r = r0 + tap_row, s = s0 + tap_column;
    const int k = k0 + row_warp * Shape::kRows + row, c = c0 + column_warp * Shape::kColumns + column;
    if (r < task.taps_h && s < task.taps_w && k < filters && c < channels) {
      dw[(int64_t{k} * task.taps_h * task.taps_w + r * task.taps_w + s) * channels + c] = sum;
    }
  });
  if (!has_bias) return;
  __syncthreads();                                 // all tiles are done with
  float* sums = reinterpret_cast<float*>(stages);  // [GLoader::kPixels][kRowTile]
#pragma unroll
  for (int i = 0; i < kLength; ++i) {
    sums[thread / GLoader::kChunks * Shape::kRowTile + thread % GLoader::kChunks * kLength + i] = bias[i];
  }
  __syncthreads();
  if (thread < Shape::kRowTile && k0 + thread < filters) {
    float sum = 0;
    for (int i = 0; i < GLoader::kPixels; ++i) sum += sums[i * Shape::kRowTile + thread];
    const int64_t part = is_transposed ? int64_t{tap_tile} * splits + split : split;
    task.db[part * filters + k0 + thread] = sum;
  }
}

}  // namespace unet::kernels::gpu
