// From finished sums to the results of a convolution: what both the implicit GEMM and its second pass over partial sums
// end with.
#pragma once

#include "kernels/cuda/implicit_gemm_gather.cuh"
#include "kernels/cuda/vector.cuh"

namespace unet::kernels::gpu {

/// Whether results may be stored `length` columns at once.
template <class T, class O>
bool has_aligned_results(const Convolution<T, O>& c, int64_t length) {
  for (int i = 0; i < c.ranges; ++i) {
    const auto& range = c.range[i];
    if (range.begin % length != 0 || range.out.c % length != 0) return false;
    if (range.out && !is_aligned(range.out, length)) return false;
    if (range.x && !is_aligned(range.x, length)) return false;
  }
  return (!c.pooled || is_aligned(c.pooled, length)) && (!c.pool_code || is_aligned(c.pool_code, length));
}

/// The sum behind a ReLU, which keeps NaN.
__device__ __forceinline__ float activate(float sum, bool relu) { return relu && sum < 0 ? 0.0F : sum; }

/// The range of columns that column j belongs to. (A loop with constant indices: parameters stay in constant memory.)
template <class T, class O>
struct ColumnTarget {
  O* data;
  int64_t stride_n, stride_h, stride_w;
  const T* x;
  int64_t x_stride_n, x_stride_h, x_stride_w;

  __device__ __forceinline__ ColumnTarget(const Convolution<T, O>& c, int j) {
    set(c.range[0], j);
#pragma unroll
    for (int i = 1; i < Convolution<T, O>::kMaxRanges; ++i) {
      if (i < c.ranges && j >= c.range[i].begin) set(c.range[i], j);
    }
  }

  /// Stores kLength columns from j on at one pixel: result * [x > 0].
  template <int kLength>
  __device__ __forceinline__ void store(int n, int p, int q, Vector<O, kLength> result) const {
    if (data == nullptr) return;
    if constexpr (std::is_same_v<T, O>) {
      if (x != nullptr) {
        const auto inputs = load_vector<kLength>(x + (n * x_stride_n + p * x_stride_h + q * x_stride_w));
#pragma unroll
        for (int e = 0; e < kLength; ++e) {
          if (!(static_cast<float>(inputs.values[e]) > 0)) result.values[e] = O(0.0F);
        }
      }
    }
    store_vector(data + (n * stride_n + p * stride_h + q * stride_w), result);
  }

 private:
  __device__ __forceinline__ void set(const ColumnRange<T, O>& range, int j) {
    const int channel = j - range.begin;
    data = range.out.data == nullptr ? nullptr : range.out.data + channel;
    stride_n = range.out.stride_n, stride_h = range.out.stride_h, stride_w = range.out.stride_w;
    x = range.x.data == nullptr ? nullptr : range.x.data + channel;
    x_stride_n = range.x.stride_n, x_stride_h = range.x.stride_h, x_stride_w = range.x.stride_w;
  }
};

/// Elements from one row of a finished tile in shared memory to the next: eight more than columns, so that the stores
/// of TensorProduct and FmaProduct fall on different banks.
constexpr int staged_pitch(int columns) { return columns + 8; }

/// Stores the tile whose first column is `column`, kLength columns at once: neighbouring threads write neighbouring
/// columns, a row of a tile at a time.
template <int kLength, int kThreads, int kColumns, int kRows, class T, class O>
__device__ __forceinline__ void store_tile(const ImplicitGemm<T, O>& gemm, const O* tile,
                                           const TilePixels<kRows>& pixels, int column) {
  const auto& c = gemm.convolution;
  constexpr int kAcross = kColumns / kLength;
  static_assert(kThreads % kAcross == 0, "a thread stays in its columns");
  const int j = threadIdx.x % kAcross * kLength;
  if (column + j >= c.columns) return;
  ColumnTarget<T, O> target(c, column + j);
  if (gemm.split_stride > 0) target.data += blockIdx.y * gemm.split_stride;
  for (int row = threadIdx.x / kAcross; row < kRows; row += kThreads / kAcross) {
    if (!pixels.is_inside[row]) continue;
    target.store(pixels.n[row], pixels.p[row], pixels.q[row],
                 load_vector<kLength>(tile + row * staged_pitch(kColumns) + j));
  }
}

/// Stores the 2x2 maxima of a tile of 8 x kRows/8 pixels whose first pixel has even coordinates.
template <int kLength, int kThreads, int kColumns, int kRows, class T, class O>
__device__ __forceinline__ void pool_tile(const Convolution<T, O>& c, const O* tile, const TilePixels<kRows>& pixels,
                                          int column) {
  constexpr int kAcross = kColumns / kLength, kWidth = kRows / 8, kPitch = staged_pitch(kColumns);
  const int j = threadIdx.x % kAcross * kLength;
  if (column + j >= c.columns) return;
  for (int window = threadIdx.x / kAcross; window < kRows / 4; window += kThreads / kAcross) {
    const int row = window / (kWidth / 2) * 2 * kWidth + window % (kWidth / 2) * 2;
    if (!pixels.is_inside[row + kWidth + 1]) continue;
    auto best = load_vector<kLength>(tile + row * kPitch + j);
    Vector<uint8_t, kLength> code{};
#pragma unroll
    for (int k = 1; k < 4; ++k) {
      const auto other = load_vector<kLength>(tile + (row + k / 2 * kWidth + k % 2) * kPitch + j);
#pragma unroll
      for (int e = 0; e < kLength; ++e) {
        const auto value = static_cast<float>(other.values[e]), largest = static_cast<float>(best.values[e]);
        if (value > largest || (value != value && largest == largest)) {
          best.values[e] = other.values[e];
          code.values[e] = static_cast<uint8_t>(k);
        }
      }
    }
    const int n = pixels.n[row], p = pixels.p[row] / 2, q = pixels.q[row] / 2;
    store_vector(pixel_of(c.pooled, n, p, q) + column + j, best);
    if (c.pool_code) store_vector(pixel_of(c.pool_code, n, p, q) + column + j, code);
  }
}

}  // namespace unet::kernels::gpu
