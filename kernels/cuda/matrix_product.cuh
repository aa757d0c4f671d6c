// What the warps of an implicit GEMM do with the slices in shared memory.
//
//   sums[i][j] += sum over the 64 bytes d of a slice of a[i][d] * b[j][d],  i < kRows, j < kColumns
//
// A slice of a and one of b lie in shared memory row by row, 64 bytes each, with the chunks of 16 bytes exchanged by
// chunk_offset(): eight neighbouring rows have one chunk in eight different quarters of the banks, so that neither
// ldmatrix nor the loads of FmaProduct meet a bank twice. One layout serves all three products.
//
// A product has
//   Element           type of the factors
//   kThreads, kRun    threads of a block; neighbouring columns that a thread holds together
//   kBlocks           blocks that share a multiprocessor, and its registers, at least
//   start(bias)       sets sums[i][j] = bias(j)
//   multiply(a, b)    adds a slice
//   for_each(visit)   visit(i, j, values) for runs of kRun sums from column j on
#pragma once

#include "kernels/cuda/implicit_gemm_problem.cuh"
#include "kernels/cuda/vector.cuh"

namespace unet::kernels::gpu {

/// Byte offset of a chunk in a slice.
__device__ __forceinline__ int chunk_offset(int row, int chunk) {
  return row * kSliceBytes + ((chunk ^ (row >> 1 & 3)) << 4);
}

/// Tensor cores: bf16, or f32 with factors rounded to tf32 (the filter was rounded when it was packed). Four warps
/// share the tile as 2x2. For 32 bytes of depth a warp of a 64x64 tile reads 4 KiB and starts 32 instructions: at 128
/// bytes a clock, shared memory is busy half of the time that the tensor cores of capability 8.0 need.
template <class T, int kRows, int kColumns>
class TensorProduct {
 public:
  using Element = T;
  static constexpr int kThreads = 128;
  static constexpr int kRun = 2;
  static constexpr int kBlocks = 2;

  template <class Bias>
  __device__ __forceinline__ void start(Bias bias) {
#pragma unroll
    for (int j = 0; j < kWarpColumns / 8; ++j) {
      const float low = bias(first_column() + j * 8), high = bias(first_column() + j * 8 + 1);
#pragma unroll
      for (int i = 0; i < kWarpRows / 16; ++i) {
        sums_[i][j][0] = sums_[i][j][2] = low;
        sums_[i][j][1] = sums_[i][j][3] = high;
      }
    }
  }

  __device__ __forceinline__ void multiply(const unsigned char* a, const unsigned char* b) {
    const int lane = threadIdx.x % 32;
    const int row = warp_row() + lane % 16, column = warp_column() + lane % 8 + lane / 16 * 8;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      // The four matrices of a: rows 0..7 and 8..15 of 16 bytes, then of the next 16. Of b: columns 0..7 of 16 bytes
      // and of the next 16, then columns 8..15.
      const unsigned char* a_row = a + chunk_offset(row, half * 2 + lane / 16);
      const unsigned char* b_row = b + chunk_offset(column, half * 2 + lane / 8 % 2);
      uint32_t fa[kWarpRows / 16][4];
#pragma unroll
      for (int i = 0; i < kWarpRows / 16; ++i) {
        ldmatrix_x4(fa[i], a_row + i * 16 * kSliceBytes);
        if constexpr (sizeof(T) == 4) {
#pragma unroll
          for (int e = 0; e < 4; ++e) fa[i][e] = to_tf32(std::bit_cast<float>(fa[i][e]));
        }
      }
#pragma unroll
      for (int j = 0; j < kWarpColumns / 8; j += 2) {
        uint32_t fb[4];
        ldmatrix_x4(fb, b_row + j * 8 * kSliceBytes);
        const uint32_t low[2] = {fb[0], fb[1]}, high[2] = {fb[2], fb[3]};
#pragma unroll
        for (int i = 0; i < kWarpRows / 16; ++i) {
          multiply(sums_[i][j], fa[i], low);
          multiply(sums_[i][j + 1], fa[i], high);
        }
      }
    }
  }

  template <class Visit>
  __device__ __forceinline__ void for_each(Visit visit) const {
    const int row = warp_row() + threadIdx.x % 32 / 4;
#pragma unroll
    for (int i = 0; i < kWarpRows / 16; ++i) {
#pragma unroll
      for (int j = 0; j < kWarpColumns / 8; ++j) {
        visit(row + i * 16, first_column() + j * 8, Vector<float, 2>{sums_[i][j][0], sums_[i][j][1]});
        visit(row + i * 16 + 8, first_column() + j * 8, Vector<float, 2>{sums_[i][j][2], sums_[i][j][3]});
      }
    }
  }

 private:
  static constexpr int kWarpRows = kRows / 2, kWarpColumns = kColumns / 2;

  __device__ __forceinline__ static int warp_row() { return threadIdx.x / 32 % 2 * kWarpRows; }
  __device__ __forceinline__ static int warp_column() { return threadIdx.x / 64 * kWarpColumns; }
  __device__ __forceinline__ static int first_column() { return warp_column() + threadIdx.x % 4 * 2; }

  __device__ __forceinline__ static void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    if constexpr (sizeof(T) == 4) {
      mma_tf32(d, a, b);
    } else {
      mma_bf16(d, a, b);
    }
  }

  float sums_[kWarpRows / 16][kWarpColumns / 8][4];
};

/// f32 multiplied and added in f32. A thread holds 8x8 sums; a warp has 32 rows and 64 columns. For four steps of depth
/// a thread loads 16 times 16 bytes, most of them together with its neighbours, and multiplies 256 times.
template <int kRows, int kColumns>
class FmaProduct {
 public:
  using Element = float;
  static constexpr int kThreads = kRows / 8 * (kColumns / 8);
  static constexpr int kRun = 1;
  static constexpr int kBlocks = 384 / kThreads;

  template <class Bias>
  __device__ __forceinline__ void start(Bias bias) {
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const float value = bias(first_column() + j * 8);
#pragma unroll
      for (int i = 0; i < 8; ++i) sums_[i][j] = value;
    }
  }

  __device__ __forceinline__ void multiply(const unsigned char* a, const unsigned char* b) {
#pragma unroll 1
    for (int chunk = 0; chunk < kSliceChunks; ++chunk) {
      Vector<float, 4> fa[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) fa[i] = load(a, first_row() + i * 4, chunk);
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const Vector<float, 4> fb = load(b, first_column() + j * 8, chunk);
#pragma unroll
        for (int i = 0; i < 8; ++i) {
#pragma unroll
          for (int e = 0; e < 4; ++e) sums_[i][j] += fa[i].values[e] * fb.values[e];
        }
      }
    }
  }

  template <class Visit>
  __device__ __forceinline__ void for_each(Visit visit) const {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
#pragma unroll
      for (int j = 0; j < 8; ++j) visit(first_row() + i * 4, first_column() + j * 8, Vector<float, 1>{sums_[i][j]});
    }
  }

 private:
  static constexpr int kWarpsDown = kRows / 32;

  __device__ __forceinline__ static int first_row() {
    return threadIdx.x / 32 % kWarpsDown * 32 + threadIdx.x % 32 / 8;
  }
  __device__ __forceinline__ static int first_column() { return threadIdx.x / 32 / kWarpsDown * 64 + threadIdx.x % 8; }
  __device__ __forceinline__ static Vector<float, 4> load(const unsigned char* slice, int row, int chunk) {
    return *reinterpret_cast<const Vector<float, 4>*>(slice + chunk_offset(row, chunk));
  }

  float sums_[8][8];
};

}  // namespace unet::kernels::gpu
