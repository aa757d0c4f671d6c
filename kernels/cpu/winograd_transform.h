// The transforms of Winograd F(4x4,3x3), 16 channels at a time. Included by the cpu target's Winograd files only.
#pragma once

#if defined(__AVX512F__)

#include <algorithm>
#include <array>
#include <cstdint>

#include "kernels/cpu/avx512.h"

namespace unet::kernels::winograd {

// With interpolation points 0, +-p, +-q and infinity the 4 outputs of a 1D convolution of 6 inputs d with 3 taps g are
//
//   y = A^T [ (G g) * (B^T d) ]
//
//   B^T = [ ppqq    0    -(pp+qq)  0       1  0 ]      G = [ 1/ppqq    0     0   ]    A^T = [ 1  1   1   1   1  0 ]
//         [ 0     -p qq   -qq      p       1  0 ]          [ s        s p   s pp ]          [ 0  p  -p   q  -q  0 ]
//         [ 0      p qq   -qq     -p       1  0 ]          [ s       -s p   s pp ]          [ 0  pp  pp  qq  qq 0 ]
//         [ 0     -q pp   -pp      q       1  0 ]          [ t        t q   t qq ]          [ 0 ppp -ppp qqq -qqq 1 ]
//         [ 0      q pp   -pp     -q       1  0 ]          [ t       -t q   t qq ]
//         [ 0     ppqq     0    -(pp+qq)   0  1 ]          [ 0         0     1   ]
//
// with s = 1 / (2 pp (pp-qq)) and t = 1 / (2 qq (qq-pp)). Every algorithm below is one of the three matrices or its
// transpose on rows, then on columns: the gradient of the filter is G^T [ sum over tiles (A dy A^T) * (B^T d B) ] G.
//
// p = 5/8, q = 3/2: a third of the error of the textbook's 1 and 2 (3.2e-6 of the largest output at 512 channels
// against 1.1e-5). The 6x6-output transform needs a fifth fewer multiplications but errs by 2.2e-5 at best.
inline constexpr float kP = 0.625F, kQ = 1.5F;
inline constexpr float kPP = kP * kP, kQQ = kQ * kQ;
inline constexpr float kS = static_cast<float>(1.0 / (2.0 * kPP * (kPP - kQQ)));
inline constexpr float kT = static_cast<float>(1.0 / (2.0 * kQQ * (kQQ - kPP)));
inline constexpr float kG0 = static_cast<float>(1.0 / (static_cast<double>(kPP) * kQQ));

inline constexpr int kTile = 4;     // outputs of a tile, per side
inline constexpr int kTaps = 3;     // taps of the filter, per side
inline constexpr int kSide = 6;     // inputs and transform points of a tile, per side
inline constexpr int kPoints = 36;  // transform points of a tile
inline constexpr int kLanes = 16;   // channels in a vector

using Vector = __m512;
template <int Count>
struct Row {
  Vector values[Count];
  Vector& operator[](int i) { return values[i]; }
  const Vector& operator[](int i) const { return values[i]; }
};

inline Vector fma(Vector a, float b, Vector c) { return _mm512_fmadd_ps(a, _mm512_set1_ps(b), c); }
inline Vector times(Vector a, float b) { return _mm512_mul_ps(a, _mm512_set1_ps(b)); }
inline Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
inline Vector subtract(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
inline Vector load(const float* from) { return _mm512_loadu_ps(from); }
inline void store(float* to, Vector v) { _mm512_storeu_ps(to, v); }

/// The first `count` lanes, none below zero.
inline __mmask16 lanes_below(int64_t count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xffff : (1U << std::max<int64_t>(count, 0)) - 1U);
}

/// B^T d.
inline Row<6> transform_input(const Row<6>& d) {
  const Vector even_p = fma(d[2], -kQQ, d[4]), odd_p = fma(d[1], -kQQ, d[3]);
  const Vector even_q = fma(d[2], -kPP, d[4]), odd_q = fma(d[1], -kPP, d[3]);
  return {fma(d[0], kPP * kQQ, fma(d[2], -(kPP + kQQ), d[4])),
          fma(odd_p, kP, even_p),
          fma(odd_p, -kP, even_p),
          fma(odd_q, kQ, even_q),
          fma(odd_q, -kQ, even_q),
          fma(d[1], kPP * kQQ, fma(d[3], -(kPP + kQQ), d[5]))};
}

/// A^T m.
inline Row<4> transform_output(const Row<6>& m) {
  const Vector sum_p = add(m[1], m[2]), difference_p = subtract(m[1], m[2]);
  const Vector sum_q = add(m[3], m[4]), difference_q = subtract(m[3], m[4]);
  return {add(m[0], add(sum_p, sum_q)), fma(difference_q, kQ, times(difference_p, kP)),
          fma(sum_q, kQQ, times(sum_p, kPP)), fma(difference_q, kQQ * kQ, fma(difference_p, kPP * kP, m[5]))};
}

/// A y: the transpose of transform_output.
inline Row<6> transform_output_gradient(const Row<4>& y) {
  const Vector even_p = fma(y[2], kPP, y[0]), odd_p = fma(y[3], kPP, y[1]);
  const Vector even_q = fma(y[2], kQQ, y[0]), odd_q = fma(y[3], kQQ, y[1]);
  return {y[0], fma(odd_p, kP, even_p), fma(odd_p, -kP, even_p), fma(odd_q, kQ, even_q), fma(odd_q, -kQ, even_q), y[3]};
}

/// G g.
inline Row<6> transform_filter(const Row<3>& g) {
  const Vector even_p = times(fma(g[2], kPP, g[0]), kS), odd_p = times(g[1], kS * kP);
  const Vector even_q = times(fma(g[2], kQQ, g[0]), kT), odd_q = times(g[1], kT * kQ);
  return {times(g[0], kG0),   add(even_p, odd_p),      subtract(even_p, odd_p),
          add(even_q, odd_q), subtract(even_q, odd_q), g[2]};
}

/// G^T m: the transpose of transform_filter.
inline Row<3> transform_filter_gradient(const Row<6>& m) {
  const Vector sum_p = times(add(m[1], m[2]), kS), sum_q = times(add(m[3], m[4]), kT);
  const Vector difference_p = subtract(m[1], m[2]), difference_q = subtract(m[3], m[4]);
  return {fma(m[0], kG0, add(sum_p, sum_q)), fma(difference_p, kS * kP, times(difference_q, kT * kQ)),
          fma(sum_p, kPP, fma(sum_q, kQQ, m[5]))};
}

/// B^T d B of the 6x6 vectors at d[row * row_stride + column * kLanes]; point i lands at v[i * point_stride].
///
/// Row pairs of B^T d are formed at once and at most twelve vectors are alive: no 36 temporaries pass through memory.
inline void transform_input_tile(const float* d, int64_t row_stride, float* v, int64_t point_stride) {
  const auto at = [&](int row, int column) { return load(d + row * row_stride + column * kLanes); };
  const auto write_row = [&](int row, const Row<6>& inputs) {
    const Row<6> result = transform_input(inputs);
#pragma GCC unroll 6
    for (int column = 0; column < kSide; ++column) store(v + (row * kSide + column) * point_stride, result[column]);
  };
  const auto write_outer = [&](int row, int first) {
    Row<6> inputs;
#pragma GCC unroll 6
    for (int j = 0; j < kSide; ++j) {
      inputs[j] = fma(at(first, j), kPP * kQQ, fma(at(first + 2, j), -(kPP + kQQ), at(first + 4, j)));
    }
    write_row(row, inputs);
  };
  const auto write_pair = [&](int row, float point, float other_squared) {
    Row<6> plus, minus;
#pragma GCC unroll 6
    for (int j = 0; j < kSide; ++j) {
      const Vector even = fma(at(2, j), -other_squared, at(4, j)), odd = fma(at(1, j), -other_squared, at(3, j));
      plus[j] = fma(odd, point, even), minus[j] = fma(odd, -point, even);
    }
    write_row(row, plus);
    write_row(row + 1, minus);
  };
  write_outer(0, 0);
  write_pair(1, kP, kQQ);
  write_pair(3, kQ, kPP);
  write_outer(5, 1);
}

/// M x M^T, M given as a function on vectors: reads x as read(row, column), gives results to write(row, column, value).
/// Unrolled, so that no vector is indexed at run time and only the columns pass from one step to the other.
template <int In, int Out, class Read, class Transform, class Write>
[[gnu::always_inline]] inline void transform_square(Read read, Transform transform, Write write) {
  Row<Out> columns[In];  // columns[j] = M x, column j
#pragma GCC unroll 6
  for (int j = 0; j < In; ++j) {
    Row<In> column;
#pragma GCC unroll 6
    for (int i = 0; i < In; ++i) column[i] = read(i, j);
    columns[j] = transform(column);
  }
#pragma GCC unroll 6
  for (int i = 0; i < Out; ++i) {
    Row<In> row;
#pragma GCC unroll 6
    for (int j = 0; j < In; ++j) row[j] = columns[j][i];
    const Row<Out> result = transform(row);
#pragma GCC unroll 6
    for (int j = 0; j < Out; ++j) write(i, j, result[j]);
  }
}

/// The 6x6 vectors at points[i * stride], as transform_square reads or writes them.
inline auto read_points(const float* points, int64_t stride) {
  return [=](int row, int column) { return load(points + (row * kSide + column) * stride); };
}
inline auto write_points(float* points, int64_t stride) {
  return [=](int row, int column, Vector value) { store(points + (row * kSide + column) * stride, value); };
}

/// Transposes 16x16 floats.
inline void transpose(Row<16>& rows) {
  Row<16> pairs;
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const Vector low = _mm512_unpacklo_ps(rows[i], rows[i + 1]), high = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    const Vector low2 = _mm512_unpacklo_ps(rows[i + 2], rows[i + 3]);
    const Vector high2 = _mm512_unpackhi_ps(rows[i + 2], rows[i + 3]);
    const auto join = [](Vector a, Vector b, auto unpack) {
      return _mm512_castpd_ps(unpack(_mm512_castps_pd(a), _mm512_castps_pd(b)));
    };
    const auto lower = [](__m512d a, __m512d b) { return _mm512_unpacklo_pd(a, b); };
    const auto upper = [](__m512d a, __m512d b) { return _mm512_unpackhi_pd(a, b); };
    pairs[i] = join(low, low2, lower), pairs[i + 1] = join(low, low2, upper);
    pairs[i + 2] = join(high, high2, lower), pairs[i + 3] = join(high, high2, upper);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {  // quarters of 128 bits: column 4 q + i is quarter q of pairs[i], [i+4], [i+8], [i+12]
    const Vector low = _mm512_shuffle_f32x4(pairs[i], pairs[i + 4], 0x44);
    const Vector high = _mm512_shuffle_f32x4(pairs[i], pairs[i + 4], 0xee);
    const Vector low2 = _mm512_shuffle_f32x4(pairs[i + 8], pairs[i + 12], 0x44);
    const Vector high2 = _mm512_shuffle_f32x4(pairs[i + 8], pairs[i + 12], 0xee);
    rows[i] = _mm512_shuffle_f32x4(low, low2, 0x88);
    rows[i + 4] = _mm512_shuffle_f32x4(low, low2, 0xdd);
    rows[i + 8] = _mm512_shuffle_f32x4(high, high2, 0x88);
    rows[i + 12] = _mm512_shuffle_f32x4(high, high2, 0xdd);
  }
}

}  // namespace unet::kernels::winograd

#endif  // __AVX512F__
