// Softmax of many pixels at once: one pixel a vector lane, so that few channels are as fast as many.
#pragma once

#include <algorithm>
#include <bit>
#include <limits>

#include "kernels/context.h"

namespace unet::kernels::cpu {

/// exp(x) for x <= 0, within 2 ulp; 0 below -87, where the result would be subnormal. NaN gives NaN.
inline float exp_nonpositive(float x) {
  constexpr float shift = 0x1.8p23F;  // adding it leaves round(.) in the low bits
  const float shifted = x * 1.44269504F + shift;
  const float n = shifted - shift;
  const float r = (x - n * 0x1.62e4p-1F) - n * 0x1.7f7d1cp-20F;  // x - n ln 2, ln 2 in two parts
  // Taylor series on |r| <= ln(2)/2: the first term left out is below 6e-9.
  float e = 1.0F / 5040;
  e = e * r + 1.0F / 720;
  e = e * r + 1.0F / 120;
  e = e * r + 1.0F / 24;
  e = e * r + 1.0F / 6;
  e = e * r + 0.5F;
  e = e * r + 1.0F;
  e = e * r + 1.0F;
  const float power = std::bit_cast<float>((std::bit_cast<uint32_t>(shifted) << 23) + 0x3f800000U);
  return x < -87.0F ? 0.0F : e * power;
}

/// log(x) for normal x > 0, within 2 ulp or 1e-7. NaN gives NaN.
inline float log_positive(float x) {
  constexpr uint32_t sqrt_half = 0x3f3504f3U;
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const int32_t exponent = static_cast<int32_t>(bits - sqrt_half) >> 23;
  const float m = std::bit_cast<float>(bits - (static_cast<uint32_t>(exponent) << 23));  // in [sqrt(1/2), sqrt(2))
  // log m = 2 artanh t: on |t| <= 0.172 the first term left out is below 1e-9.
  const float t = (m - 1) / (m + 1), t2 = t * t;
  float s = 1.0F / 9;
  s = s * t2 + 1.0F / 7;
  s = s * t2 + 1.0F / 5;
  s = s * t2 + 1.0F / 3;
  s = s * t2 + 1.0F;
  const float result = 2 * t * s + static_cast<float>(exponent) * 0.693147181F;
  return x == x ? result : x;
}

/// Up to kLanes neighbouring pixels of one row of scores, and their softmax.
class SoftmaxLanes {
 public:
  static constexpr int64_t kLanes = 64;
  using Lanes = float[kLanes];

  SoftmaxLanes(const View<const float>& x, int64_t n, int64_t h, int64_t w)
      : count(std::min(kLanes, x.w - w)), pixels_(&x(n, h, w, 0)), x_(&x) {
    std::fill_n(highest, kLanes, -std::numeric_limits<float>::infinity());
    std::fill_n(sum, kLanes, 0.0F);
    alignas(64) Lanes score;
    for (int64_t k = 0; k < x.c; ++k) {
      load(k, score);
      for (int64_t i = 0; i < kLanes; ++i) highest[i] = score[i] > highest[i] ? score[i] : highest[i];
    }
    for (int64_t k = 0; k < x.c; ++k) {
      load(k, score);
      for (int64_t i = 0; i < kLanes; ++i) sum[i] += exp_nonpositive(score[i] - highest[i]);
    }
  }

  /// Scores of class k; zero in the lanes past `count`.
  void load(int64_t k, Lanes& score) const {
    const float* source = pixels_ + k / x_->block * x_->stride_block + k % x_->block;
    for (int64_t i = 0; i < count; ++i) score[i] = source[i * x_->stride_w];
    for (int64_t i = count; i < kLanes; ++i) score[i] = 0;
  }

  /// Probabilities of class k.
  void probabilities(int64_t k, Lanes& p) const {
    load(k, p);
    for (int64_t i = 0; i < kLanes; ++i) p[i] = exp_nonpositive(p[i] - highest[i]) / sum[i];
  }

  /// y[k] = value for these pixels, y at the first of them; after the last class also the padding.
  void store(const View<float>& y, float* first, int64_t k, const Lanes& value) const {
    float* target = first + k / y.block * y.stride_block + k % y.block;
    for (int64_t i = 0; i < count; ++i) target[i * y.stride_w] = value[i];
    if (k + 1 < y.c || !y.is_blocked()) return;
    const int64_t padding = kChannelBlock - 1 - k % kChannelBlock;
    for (int64_t i = 0; i < count; ++i) std::fill_n(target + i * y.stride_w + 1, padding, 0.0F);
  }

  int64_t count;              // pixels in use
  alignas(64) Lanes highest;  // max_k x[k]
  alignas(64) Lanes sum;      // sum_k exp(x[k] - highest)

 private:
  const float* pixels_;
  const View<const float>* x_;
};

}  // namespace unet::kernels::cpu
