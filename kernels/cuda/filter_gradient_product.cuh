// Products of two pixel tiles in shared memory, summed over their pixels: what one warp of filter_gradient_tiles does.
//
// A tile holds kPitch elements a pixel. With a pitch of its channels + 8, channels a multiple of 32, neighbouring
// pixels lie in different banks for each of the accesses below.
//
//   sums[t][i][j] += sum over pixels of g[pixel][i] * x[x_pixel[pixel] + t * pitch][j],  i < kRows, j < kColumns
//
// A product has
//   Element            type of the elements of both tiles
//   kDepth             pixels are multiplied in multiples of it
//   kRounds, round()   whether elements must be rounded before they are multiplied, and how
//   multiply(g, x, x_pixel, pixels)   g, x: first channel of the warp; x_pixel: offset in elements of each pixel's x
//   for_each(visit)                   visit(t, i, j, sum) for the sums that this lane holds
#pragma once

#include "kernels/cuda/vector.cuh"

namespace unet::kernels::gpu {

/// Elements from one pixel of a tile to the next.
constexpr int tile_pitch(int channels) { return channels + 8; }

/// The accumulators of m16n8 tensor core instructions: lane l holds of each 16x8 tile rows l/4 and l/4 + 8, columns
/// 2*(l%4) and 2*(l%4) + 1.
template <int kRows, int kColumns, int kTaps>
struct FragmentSums {
  float values[kTaps][kRows / 16][kColumns / 8][4] = {};

  template <class Visit>
  __device__ __forceinline__ void for_each(Visit visit) const {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int t = 0; t < kTaps; ++t) {
#pragma unroll
      for (int m = 0; m < kRows / 16; ++m) {
#pragma unroll
        for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
          for (int e = 0; e < 4; ++e) {
            visit(t, m * 16 + lane / 4 + e / 2 * 8, n * 8 + lane % 4 * 2 + e % 2, values[t][m][n][e]);
          }
        }
      }
    }
  }
};

/// bf16 factors on tensor cores. For 16 pixels a warp reads kRows + kTaps * kColumns channels, 32 bytes each, from
/// shared memory and multiplies kTaps * kRows * kColumns.
template <int kRowTile, int kColumnTile, int kRows, int kColumns, int kTaps>
struct Bf16Product {
  using Element = bf16;
  static constexpr int kDepth = 16;
  static constexpr bool kRounds = false;
  FragmentSums<kRows, kColumns, kTaps> sums;

  __device__ __forceinline__ void multiply(const bf16* g, const bf16* x, const int* x_pixel, int pixels) {
    constexpr int kGPitch = tile_pitch(kRowTile), kXPitch = tile_pitch(kColumnTile);
    const int lane = threadIdx.x % 32;
    // Matrices of a: 8 pixels of channels 0..7, of channels 8..15, then both of the next 8 pixels. Of b: 8 pixels, the
    // next 8 pixels, then both of channels 8..15.
    g += (lane % 8 + lane / 16 * 8) * kGPitch + lane / 8 % 2 * 8;
    x += lane / 16 * 8;
    x_pixel += lane % 16;
    for (int pixel = 0; pixel < pixels; pixel += kDepth) {
      uint32_t a[kRows / 16][4];
#pragma unroll
      for (int m = 0; m < kRows / 16; ++m) ldmatrix_x4_trans(a[m], g + pixel * kGPitch + m * 16);
      const bf16* x_row = x + x_pixel[pixel];
#pragma unroll
      for (int t = 0; t < kTaps; ++t) {
#pragma unroll
        for (int n = 0; n < kColumns / 8; n += 2) {
          uint32_t b[4];
          ldmatrix_x4_trans(b, x_row + t * kXPitch + n * 8);
          const uint32_t low[2] = {b[0], b[1]}, high[2] = {b[2], b[3]};
#pragma unroll
          for (int m = 0; m < kRows / 16; ++m) {
            mma_bf16(sums.values[t][m][n], a[m], low);
            mma_bf16(sums.values[t][m][n + 1], a[m], high);
          }
        }
      }
    }
  }
};

/// f32 factors rounded to tf32 on tensor cores; rounded once, by the thread that copies them. For 8 pixels a warp reads
/// kRows + kTaps * kColumns channels, 32 bytes each.
template <int kRowTile, int kColumnTile, int kRows, int kColumns, int kTaps>
struct Tf32Product {
  using Element = float;
  static constexpr int kDepth = 8;
  static constexpr bool kRounds = true;
  FragmentSums<kRows, kColumns, kTaps> sums;

  __device__ __forceinline__ static float round(float value) { return std::bit_cast<float>(to_tf32(value)); }
  __device__ __forceinline__ static uint32_t bits(float value) { return std::bit_cast<uint32_t>(value); }

  __device__ __forceinline__ void multiply(const float* g, const float* x, const int* x_pixel, int pixels) {
    constexpr int kGPitch = tile_pitch(kRowTile), kXPitch = tile_pitch(kColumnTile);
    const int lane = threadIdx.x % 32;
    g += lane % 4 * kGPitch + lane / 4;
    x += lane / 4;
    x_pixel += lane % 4;
    for (int pixel = 0; pixel < pixels; pixel += kDepth) {
      uint32_t a[kRows / 16][4];
#pragma unroll
      for (int m = 0; m < kRows / 16; ++m) {
#pragma unroll
        for (int e = 0; e < 4; ++e) a[m][e] = bits(g[(pixel + e / 2 * 4) * kGPitch + m * 16 + e % 2 * 8]);
      }
      const float *x_low = x + x_pixel[pixel], *x_high = x + x_pixel[pixel + 4];
#pragma unroll
      for (int t = 0; t < kTaps; ++t) {
#pragma unroll
        for (int n = 0; n < kColumns / 8; ++n) {
          const int offset = t * kXPitch + n * 8;
          const uint32_t b[2] = {bits(x_low[offset]), bits(x_high[offset])};
#pragma unroll
          for (int m = 0; m < kRows / 16; ++m) mma_tf32(sums.values[t][m][n], a[m], b);
        }
      }
    }
  }
};

/// f32 factors, multiplied in f32. Lane l holds rows 4*(l/4).. of every 32 and columns 4*(l%4).. of every 16: for one
/// pixel it reads kRows/32 + kTaps*kColumns/16 times 16 bytes and multiplies kTaps*kRows*kColumns/32 times.
template <int kRowTile, int kColumnTile, int kRows, int kColumns, int kTaps>
struct F32Product {
  using Element = float;
  static constexpr int kDepth = 1;
  static constexpr bool kRounds = false;

  struct Sums {
    float values[kTaps][kRows / 32][kColumns / 16][4][4] = {};

    template <class Visit>
    __device__ __forceinline__ void for_each(Visit visit) const {
      const int lane = threadIdx.x % 32;
#pragma unroll
      for (int t = 0; t < kTaps; ++t) {
#pragma unroll
        for (int m = 0; m < kRows / 32; ++m) {
#pragma unroll
          for (int n = 0; n < kColumns / 16; ++n) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
#pragma unroll
              for (int j = 0; j < 4; ++j) {
                visit(t, m * 32 + lane / 4 * 4 + i, n * 16 + lane % 4 * 4 + j, values[t][m][n][i][j]);
              }
            }
          }
        }
      }
    }
  } sums;

  __device__ __forceinline__ void multiply(const float* g, const float* x, const int* x_pixel, int pixels) {
    constexpr int kGPitch = tile_pitch(kRowTile), kXPitch = tile_pitch(kColumnTile);
    const int lane = threadIdx.x % 32;
    g += lane / 4 * 4;
    x += lane % 4 * 4;
#pragma unroll 2
    for (int pixel = 0; pixel < pixels; ++pixel) {
      Vector<float, 4> a[kRows / 32];
#pragma unroll
      for (int m = 0; m < kRows / 32; ++m) a[m] = load_vector<4>(g + pixel * kGPitch + m * 32);
      const float* x_row = x + x_pixel[pixel];
#pragma unroll
      for (int t = 0; t < kTaps; ++t) {
#pragma unroll
        for (int n = 0; n < kColumns / 16; ++n) {
          const Vector<float, 4> b = load_vector<4>(x_row + t * kXPitch + n * 16);
#pragma unroll
          for (int m = 0; m < kRows / 32; ++m) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
#pragma unroll
              for (int j = 0; j < 4; ++j) sums.values[t][m][n][i][j] += a[m].values[i] * b.values[j];
            }
          }
        }
      }
    }
  }
};

}  // namespace unet::kernels::gpu
