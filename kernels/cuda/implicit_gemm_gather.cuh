// How the threads of an implicit GEMM fetch the slices of its left factor: rows are output pixels, and the chunk of a
// row is a chunk of channels of the input pixel that the tap falls on.
#pragma once

#include "kernels/cuda/implicit_gemm_problem.cuh"
#include "kernels/cuda/matrix_product.cuh"

namespace unet::kernels::gpu {

/// Output pixels of the rows of a tile, in shared memory. Rows past the last pixel repeat another one.
template <int kRows>
struct TilePixels {
  int n[kRows], p[kRows], q[kRows];
  bool is_inside[kRows];

  /// Finds the pixel of one row of the tile `tile`.
  template <class T, class O>
  __device__ __forceinline__ void locate(const ImplicitGemm<T, O>& gemm, int64_t tile, int row) {
    const auto& c = gemm.convolution;
    const int64_t height = c.height(), width = c.width();
    int64_t image, y, x;
    if (gemm.patches) {
      constexpr int kWidth = kRows / 8;
      const int64_t across = (width + kWidth - 1) / kWidth, down = (height + 7) / 8;
      image = tile / (across * down);
      y = tile / across % down * 8 + row / kWidth;
      x = tile % across * kWidth + row % kWidth;
      is_inside[row] = y < height && x < width;
      y = y < height ? y : height - 1;
      x = x < width ? x : width - 1;
    } else {
      const int64_t index = tile * kRows + row, last = c.n() * height * width - 1;
      const int64_t pixel = index < last ? index : last;
      is_inside[row] = index <= last;
      image = pixel / (height * width);
      y = pixel / width % height;
      x = pixel % width;
    }
    n[row] = static_cast<int>(image), p[row] = static_cast<int>(y), q[row] = static_cast<int>(x);
  }
};

enum class Fetch : uint8_t {
  inside,    // asynchronous copies; every tap of every row falls on a pixel
  bounded,   // asynchronous copies; zero where a tap falls outside of the input
  elements,  // bounded, and through registers element by element: for pixels that are not aligned to 16 bytes
};

/// One thread's part: chunk threadIdx.x % 4 of every kStep-th row.
template <class T, class O, Fetch kFetch, int kThreads, int kRows>
class Gather {
 public:
  /// Begins at a slice.
  __device__ __forceinline__ Gather(const ImplicitGemm<T, O>& gemm, const TilePixels<kRows>& pixels, int slice)
      : depth_(gemm.depth), c_(gemm.convolution), pixels_(pixels) {
    const DepthPosition at = DepthPosition::at(depth_, slice * kSliceChunks + chunk_of_slice());
    source_ = at.source, r_ = at.tap / c_.taps_w, s_ = at.tap % c_.taps_w, chunk_ = at.chunk;
    begin_source();
  }

  /// Starts filling `slice` in shared memory, and goes on to the next.
  __device__ __forceinline__ void fetch(unsigned char* slice) {
    const bool first = source_ == 0;
    const int64_t offset = r_ * (first ? c_.x.stride_h : c_.x2.stride_h) +
                           s_ * (first ? c_.x.stride_w : c_.x2.stride_w) + chunk_ * kChunk<T>;
    unsigned char* to = slice + chunk_offset(first_row(), chunk_of_slice());
#pragma unroll
    for (int i = 0; i < kCount; ++i, to += kStep * kSliceBytes) {
      bool valid = source_ < 2;
      if constexpr (kFetch != Fetch::inside) {
        valid = valid && static_cast<unsigned>(top_[i] + r_) < static_cast<unsigned>(c_.x.h) &&
                static_cast<unsigned>(left_[i] + s_) < static_cast<unsigned>(c_.x.w);
      }
      if constexpr (kFetch == Fetch::elements) {
        Vector<T, kChunk<T>> values;
        const int channels = valid ? depth_.channels_of(source_) - chunk_ * kChunk<T> : 0;
#pragma unroll
        for (int e = 0; e < kChunk<T>; ++e) values.values[e] = e < channels ? pixel_[i][offset + e] : T(0.0F);
        store_vector(reinterpret_cast<T*>(to), values);
      } else {
        cp_async_16(to, valid ? pixel_[i] + offset : c_.x.data, valid ? kChunkBytes : 0);
      }
    }
    advance();
  }

 private:
  static constexpr int kStep = kThreads / kSliceChunks;
  static constexpr int kCount = kRows / kStep;
  static_assert(kStep % 8 == 0 && kRows % kStep == 0, "the rows of a thread exchange their chunks alike");

  __device__ __forceinline__ static int chunk_of_slice() { return threadIdx.x % kSliceChunks; }
  __device__ __forceinline__ static int first_row() { return threadIdx.x / kSliceChunks; }

  __device__ __forceinline__ void advance() {
    chunk_ += kSliceChunks;
    while (source_ < 2 && chunk_ >= depth_.chunks_of(source_)) {
      chunk_ -= depth_.chunks_of(source_);
      if (++s_ < c_.taps_w) continue;
      s_ = 0;
      if (++r_ < c_.taps_h) continue;
      r_ = 0;
      source_ += c_.x2 ? 1 : 2;
      begin_source();
    }
  }

  __device__ __forceinline__ void begin_source() {
    if (source_ > 1) return;
    const bool first = source_ == 0;
    const T* data = first ? c_.x.data : c_.x2.data;
    const int64_t stride_n = first ? c_.x.stride_n : c_.x2.stride_n, stride_h = first ? c_.x.stride_h : c_.x2.stride_h,
                  stride_w = first ? c_.x.stride_w : c_.x2.stride_w;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int row = first_row() + i * kStep;
      top_[i] = pixels_.p[row] * c_.stride - c_.pad_h;
      left_[i] = pixels_.q[row] * c_.stride - c_.pad_w;
      pixel_[i] = data + (pixels_.n[row] * stride_n + top_[i] * stride_h + left_[i] * stride_w);
    }
  }

  const Depth& depth_;
  const Convolution<T, O>& c_;
  const TilePixels<kRows>& pixels_;
  const T* pixel_[kCount];          // where tap (0,0) of a row falls in the source; outside of it where padded
  int top_[kCount], left_[kCount];  // its coordinates
  int source_, r_, s_, chunk_;      // the position in the depth
};

}  // namespace unet::kernels::gpu
