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
/// Note [Tiles]  A consumer computes 64 columns of kN pixels, with filters as the left factor of wgmma and pixels as
/// the right one: per step, 64 + kN rows of shared memory are read for 64 * kN results, so that large kN leave it time
/// to be written. The consumers of a block have different columns of the same pixels, or other pixels for the same
/// columns. Several sizes exist because the tiles of an image rarely fill all multiprocessors, and to have a choice is
/// to waste less of the last round.
template <int n, int column_groups, int slab_pixels, int slabs, int filters>
struct Tile {
  static constexpr int kN = n, kColumnGroups = column_groups;
  static constexpr int kPixelGroups = kConsumers / kColumnGroups;
  static constexpr int kPixels = kN * kPixelGroups, kColumns = 64 * kColumnGroups;
  static constexpr int kSlabs = slabs, kFilters = filters;  // stages of the rings
  static constexpr int kSlabPixels = slab_pixels;           // at most: R - 1 more rows than the patch has
  static constexpr int kSlabBytes = kSlabPixels * kRowBytes, kFilterBytes = kColumns * kRowBytes;
  static constexpr int kStagingBytes = kN * kRowBytes;  // of a consumer
  static constexpr int kAlignment = 1024;
  static constexpr int kSharedBytes =
      kAlignment + kSlabs * kSlabBytes + kFilters * kFilterBytes + kConsumers * kStagingBytes;
  static_assert(kN % 16 == 0 && kColumnGroups * kPixelGroups == kConsumers && kSlabBytes % kAlignment == 0);
  static_assert(kSharedBytes + 1024 <= 227 << 10, "a multiprocessor's shared memory, barriers included");
};

template <class... Tiles>
struct TileList {
  /// Calls visit.operator()<Tile>(index) for each.
  template <class Visit>
  static void for_each(Visit visit) {
    int index = 0;
    (visit.template operator()<Tiles>(index++), ...);
  }
};
using Tiles = TileList<Tile<256, 2, 320, 2, 5>, Tile<224, 2, 288, 2, 6>, Tile<176, 2, 224, 3, 6>,
                       Tile<128, 2, 192, 4, 6>, Tile<208, 1, 448, 2, 7>, Tile<160, 1, 384, 3, 5>>;

/// The tensor maps of one product: kernel parameter.
struct Maps {
  TensorMap source[kMaxSources];  // {C,W,H,N}, box {kBlock, width, height + R - 1, 1}
  TensorMap filter;               // {slabs * R * kBlock, blocks * kBlock}, box {kBlock, kColumns}
  TensorMap range[kMaxRanges];    // {C,Q,P,N}, box {kBlock, width, kN / width, 1}
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
  int channels[kMaxRanges];       // of the ranges
  const float* bias[kMaxRanges];  // of their channels, or null
  bool is_masked[kMaxRanges];     // results of the range are multiplied by [mask > 0]
  bool relu;
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
