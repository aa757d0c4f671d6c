#include "unet/gray_curve.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace unet {
namespace {

constexpr int kTries = 1000;
constexpr size_t kPoints = 5;
constexpr double kSpacing = 1.0 / (kPoints - 1);
constexpr double kSigma = kSpacing / 4;

/// max(0, x) convolved with a Gaussian of kSigma.
double smooth_ramp(double x) {
  const double z = x / kSigma;
  const double density = std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
  const double distribution = 0.5 * std::erfc(-z / std::numbers::sqrt2);
  return x * distribution + kSigma * density;
}

/// Control points at multiples of kSpacing; false where the draw of black and white leaves no room for the slopes.
bool draw_points(const AugmentationConfig& config, RandomStream& random, std::array<double, kPoints>& points) {
  points.front() = random.uniform(-config.gray_shift, config.gray_shift);
  points.back() = random.uniform(1 - config.gray_shift, 1 + config.gray_shift);
  for (size_t half = kPoints / 2; half > 0; half /= 2) {
    const double dx = static_cast<double>(half) * kSpacing;
    const double least = config.gray_slope_min * dx, most = config.gray_slope_max * dx;
    for (size_t i = half; i < kPoints; i += 2 * half) {
      const double left = points[i - half], right = points[i + half];
      const double low = std::max(left + least, right - most), high = std::min(left + most, right - least);
      if (low > high) return false;
      points[i] = random.uniform(low, high);
    }
  }
  return true;
}

}  // namespace

GrayCurve::GrayCurve(const AugmentationConfig& config, RandomStream& random) {
  std::array<double, kPoints> points{};
  int tries = 0;
  while (!draw_points(config, random, points)) {
    if (++tries == kTries) {
      throw ConfigError(concat("gray curve: no curve between black and white points ", 1 - 2 * config.gray_shift,
                               " to ", 1 + 2 * config.gray_shift, " apart has slopes of ", config.gray_slope_min,
                               " to ", config.gray_slope_max, "; widen the slopes around 1"));
    }
  }
  // A polygon is a line plus a ramp at every change of slope, and smoothing is linear: no convolution is needed.
  const auto slope = [&](size_t segment) { return (points[segment + 1] - points[segment]) / kSpacing; };
  for (size_t i = 0; i < table_.size(); ++i) {
    const double x = static_cast<double>(i) / static_cast<double>(kLast);
    double value = points[0] + slope(0) * x;
    for (size_t k = 1; k + 1 < kPoints; ++k) {
      value += (slope(k) - slope(k - 1)) * smooth_ramp(x - static_cast<double>(k) * kSpacing);
    }
    table_[i] = static_cast<float>(value);
  }
}

}  // namespace unet
