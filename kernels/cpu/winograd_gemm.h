// Matrix products of Winograd points: register tiles of AVX-512. Included by the cpu target's Winograd files only.
#pragma once

#if defined(__AVX512F__)

#include <array>
#include <cstdint>
#include <utility>

#include "kernels/cpu/avx512.h"

namespace unet::kernels::winograd {

/// Operands of one register tile: m[row][vector] (+)= sum over depth of a[row][depth] * b[depth][vector], a vector
/// being 16 floats. The depth is `blocks` times `depth`: in `a` a new block starts every a_block_stride floats, in `b`
/// the depth is one run.
struct Product {
  const float* a;
  int64_t a_block_stride;
  const float* prefetch;  // a line for each step of depth, blocks as in `a`: what the next product reads
  const float* b;
  int64_t b_depth_stride, b_vector_stride;
  float* m;
  int64_t m_row_stride;  // vectors of a row are neighbours
  int64_t blocks, depth;
  bool accumulate;  // adds to m, else overwrites it
};

/// Rows x Vectors accumulators live in registers (28 of 32 at most); per step of depth each `a` element is broadcast
/// once and used `Vectors` times. Bound: two fused multiply-adds a cycle against two loads a cycle, of which a tile of
/// 14x2 needs 16 for 28.
template <int Rows, int Vectors, int RowStride, int DepthStride>
void multiply_tile(const Product& p) {
  static_assert(Rows * Vectors <= 28);
  __m512 sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      sum[r][v] = p.accumulate ? _mm512_loadu_ps(p.m + r * p.m_row_stride + v * 16) : _mm512_setzero_ps();
    }
  }
  const float* b = p.b;
  for (int64_t block = 0; block < p.blocks; ++block) {
    const float* a = p.a + block * p.a_block_stride;
    for (int64_t d = 0; d < p.depth; ++d, a += DepthStride, b += p.b_depth_stride) {
      _mm_prefetch(p.prefetch + block * p.a_block_stride + d * 16, _MM_HINT_T0);
      __m512 b_vector[Vectors];
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) b_vector[v] = _mm512_loadu_ps(b + v * p.b_vector_stride);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        const __m512 a_element = _mm512_set1_ps(a[r * RowStride]);
#pragma GCC unroll 4
        for (int v = 0; v < Vectors; ++v) sum[r][v] = _mm512_fmadd_ps(a_element, b_vector[v], sum[r][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) _mm512_storeu_ps(p.m + r * p.m_row_stride + v * 16, sum[r][v]);
  }
}

using Multiply = void (*)(const Product&);

/// The register tile for 1 to MaxRows rows known at run time: table[rows - 1].
template <int MaxRows, int Vectors, int RowStride, int DepthStride>
constexpr std::array<Multiply, MaxRows> multiply_table() {
  return []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<Multiply, MaxRows>{&multiply_tile<I + 1, Vectors, RowStride, DepthStride>...};
  }
  (std::make_integer_sequence<int, MaxRows>{});
}

}  // namespace unet::kernels::winograd

#endif  // __AVX512F__
