// A convolution as the implicit GEMM computes it: rows are output pixels, columns output channels, and the depth runs
// over taps and input channels.
//
// The depth is counted in chunks of 16 bytes. All taps of x come first, each with its channels padded to whole chunks;
// then all taps of x2, so that a thread changes its source once. A slice is four chunks: what a block multiplies
// between two barriers, 32 channels of bf16 or 16 of f32.
#pragma once

#include "kernels/cuda/convolution.cuh"

namespace unet::kernels::gpu {

inline constexpr int kChunkBytes = 16;
inline constexpr int kSliceChunks = 4;
inline constexpr int kSliceBytes = kSliceChunks * kChunkBytes;

template <class T>
inline constexpr int kChunk = kChunkBytes / static_cast<int>(sizeof(T));

struct Depth {
  int taps = 0;
  int channels[2] = {};  // of x and x2
  int chunks[2] = {};    // a tap

  template <class T>
  static Depth of(int taps, int channels, int channels2) {
    return {taps,
            {channels, channels2},
            {static_cast<int>(ceil_div(channels, kChunk<T>)), static_cast<int>(ceil_div(channels2, kChunk<T>))}};
  }

  UNET_HOST_DEVICE int channels_of(int source) const { return source == 0 ? channels[0] : channels[1]; }
  UNET_HOST_DEVICE int chunks_of(int source) const { return source == 0 ? chunks[0] : chunks[1]; }
  UNET_HOST_DEVICE int total_chunks() const { return taps * (chunks[0] + chunks[1]); }
  UNET_HOST_DEVICE int slices() const { return (total_chunks() + kSliceChunks - 1) / kSliceChunks; }
};

/// One chunk of the depth. Past the end the source is 2.
struct DepthPosition {
  int source, tap, chunk;  // chunk of the tap

  __device__ __forceinline__ static DepthPosition at(const Depth& depth, int index) {
    int source = 0, chunks = depth.chunks[0];
    if (index >= depth.taps * chunks) {
      index -= depth.taps * chunks;
      source = 1, chunks = depth.chunks[1];
    }
    if (index >= depth.taps * chunks) return {2, 0, 0};
    return {source, index / chunks, index % chunks};
  }
};

/// A convolution with all that its kernel needs to know.
template <class T, class O>
struct ImplicitGemm {
  Convolution<T, O> convolution;
  Depth depth;
  const T* filter = nullptr;  // [columns, padded to whole tiles][depth.slices() * kSliceChunks chunks], padded by zeros
  int column_tiles = 1;
  int slices = 0;            // blockIdx.y sums the slices from blockIdx.y * slices on
  int64_t split_stride = 0;  // elements of range[0].out from the sums of one blockIdx.y to those of the next
  bool patches = false;      // rows of a tile are a patch of 8 x kRows/8 pixels; else consecutive pixels
  bool vectors = false;      // results may be stored 16 bytes at once
};

}  // namespace unet::kernels::gpu
