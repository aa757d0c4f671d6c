// A random change of brightness and contrast that keeps the order of gray values.
#pragma once

#include <array>

#include "unet/config.h"
#include "unet/random.h"

namespace unet {

/// Monotone function on gray values, as a table over [0,1]; values outside are clamped to it first.
///
/// Five control points at 0, 1/4, .., 1. Black and white are drawn around 0 and 1, then midpoints are inserted twice,
/// each uniform in the range that keeps every slope between the limits. The polygon, continued linearly beyond its
/// ends, is smoothed by a Gaussian of sigma 1/16. Source: value augmentation of Freiburg's U-Net Caffe layers.
class GrayCurve {
 public:
  /// Throws ConfigError where the limits leave no curve.
  GrayCurve(const AugmentationConfig& config, RandomStream& random);

  float operator()(float value) const {
    const float position = value > 0 ? (value < 1 ? value * kLast : kLast) : 0;  // not a number becomes 0
    const auto i = static_cast<size_t>(static_cast<int>(position));
    return table_[i] + (position - static_cast<float>(i)) * (table_[i + 1] - table_[i]);
  }

 private:
  static constexpr float kLast = 255;
  std::array<float, 257> table_{};  // at i / 255; one more entry, so that i + 1 always exists
};

}  // namespace unet
