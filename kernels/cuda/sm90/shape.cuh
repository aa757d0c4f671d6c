// What the kernel of implicit_gemm.cuh is told about a product, and how a block divides it.
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/sm90/ptx.cuh"

namespace unet::kernels::gpu::sm90 {

inline constexpr int kMaxSources = 4, kMaxRanges = 4;
inline constexpr int kConsumers = 2;                     // warpgroups that multiply
inline constexpr int kThreads = 128 * (1 + kConsumers);  // of a block
inline constexpr int kRowBytes = 128;                    // of a pixel or of a filter in shared memory

/// Channels of a slab, and columns that are stored together.
template <class T>
inline constexpr int kBlock = kRowBytes / static_cast<int>(sizeof(T));

/// What a block computes at a time, and its shared memory.
///
/// Note [Transposed products]  wgmma reads 64 rows of its left factor and N of its right one from shared memory. With
/// 64 columns it would read as many bytes of filters as of pixels, as fast as shared memory can and no faster: there
/// the filters are the left factor, and all pixels of a consumer the right one.
template <int pixels, int columns, int slabs, int filters>
struct Tile {
  static constexpr int kPixels = pixels, kColumns = columns;
  static constexpr bool kIsTransposed = columns == 64;
  static constexpr int kSlabs = slabs, kFilters = filters;   // stages of the rings
  static constexpr int kSlabPixels = kPixels + kPixels / 4;  // at most: room for R - 1 more rows
  static constexpr int kSlabBytes = kSlabPixels * kRowBytes, kFilterBytes = kColumns * kRowBytes;
  static constexpr int kRows = kPixels / kConsumers;             // of a consumer, one per pixel
  static constexpr int kParts = kIsTransposed ? 1 : kRows / 64;  // of one wgmma each
  static constexpr int kN = kIsTransposed ? kRows : kColumns;    // of wgmma
  static constexpr int kStagingBytes = kRows * kRowBytes;
  static constexpr int kAlignment = 1024;
  static constexpr int kSharedBytes =
      kAlignment + kSlabs * kSlabBytes + kFilters * kFilterBytes + kConsumers * kStagingBytes;
  static_assert(kSharedBytes + 1024 <= 227 << 10, "a multiprocessor's shared memory, barriers included");
};
using WideTile = Tile<256, 128, 3, 4>;
using NarrowTile = Tile<256, 64, 3, 8>;
using SmallTile = Tile<128, 128, 4, 6>;

/// The tensor maps of one product: kernel parameter.
struct Maps {
  TensorMap source[kMaxSources];  // {C,W,H,N}, box {kBlock, width, height + R - 1, 1}
  TensorMap filter;               // {slabs * R * kBlock, blocks * kBlock}, box {kBlock, kColumns}
  TensorMap range[kMaxRanges];    // {C,Q,P,N}, box {kBlock, width, height / kConsumers, 1}
  TensorMap mask[kMaxRanges];     // likewise
};

/// The sizes of one product, and what is done with its sums: kernel parameter. Columns of a range and channels of a
/// source are padded to whole blocks.
template <class T>
struct Shape {
  int images, result_h, result_w;  // N, P, Q
  int taps_h, taps_w, pad_h, pad_w;
  int height, width;  // of a patch, pixels
  int patches_h, patches_w;
  int column_tiles;
  int splits;  // the slabs of a tile are divided among so many units
  int sources, ranges;
  int slab_end[kMaxSources];      // slabs of the sources up to this one
  int block_end[kMaxRanges];      // blocks of columns of the ranges up to this one
  int channels[kMaxRanges];       // of the ranges, and the bias of their first one
  const float* bias[kMaxRanges];  // or null
  bool relu;
  bool is_masked;           // results are multiplied by [mask > 0]
  bool is_stored;           // to the ranges; else only pooled
  View<T> pooled;           // [N,P/2,Q/2,columns] of the only range, or empty
  View<uint8_t> pool_code;  // likewise
  float* partial;           // [splits,N,P,Q,blocks*kBlock] sums where splits > 1

  UNET_HOST_DEVICE int slabs() const { return slab_end[sources - 1]; }
  UNET_HOST_DEVICE int blocks() const { return block_end[ranges - 1]; }
  UNET_HOST_DEVICE int units() const { return images * patches_h * patches_w * splits * column_tiles; }
};

/// A range of columns, or a source of channels, and the first slab or block of it.
struct Place {
  int index = 0, first = 0;

  __device__ __forceinline__ Place(const int (&end)[4], int position) {
    while (position >= end[index]) first = end[index++];
  }
};
static_assert(kMaxSources == 4 && kMaxRanges == 4);

/// What a block does between two visits to its schedule. Columns vary fastest: blocks that run at the same time share
/// patches, and all filters.
struct Unit {
  int image, p, q;  // first pixel of the patch
  int column_tile, split;
  int slab_begin, slab_end;

  template <class T>
  __device__ __forceinline__ Unit(const Shape<T>& shape, int index) {
    column_tile = index % shape.column_tiles;
    index /= shape.column_tiles;
    split = index % shape.splits;
    index /= shape.splits;
    q = index % shape.patches_w * shape.width;
    index /= shape.patches_w;
    p = index % shape.patches_h * shape.height;
    image = index / shape.patches_h;
    slab_begin = shape.slabs() * split / shape.splits;
    slab_end = shape.slabs() * (split + 1) / shape.splits;
  }
};

}  // namespace unet::kernels::gpu::sm90
