#include "unet/gray_curve.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/catch.h"

namespace unet {
namespace {

GrayCurve curve(const AugmentationConfig& config, uint32_t sample) {
  RandomStream random(3, Purpose::gray_curve, sample);
  return GrayCurve(config, random);
}

}  // namespace

TEST_CASE("gray curves keep order and slopes, and black and white stay near") {
  const AugmentationConfig config;
  float darkest = 1, brightest = 0;
  for (uint32_t i = 0; i < 300; ++i) {
    const GrayCurve f = curve(config, i);
    CAPTURE(i);
    // Smoothing moves the ends of the polygon by no more than sigma times the slopes' range.
    REQUIRE(std::abs(f(0)) < 0.05F + 0.0625F * 0.4F);
    REQUIRE(std::abs(f(1) - 1) < 0.05F + 0.0625F * 0.4F);
    for (int k = 0; k < 255; ++k) {
      const float slope = 255 * (f(static_cast<float>(k + 1) / 255) - f(static_cast<float>(k) / 255));
      REQUIRE(slope > 0.8F - 1e-3F);
      REQUIRE(slope < 1.2F + 1e-3F);
    }
    darkest = std::min(darkest, f(0)), brightest = std::max(brightest, f(0));
  }
  CHECK(darkest < -0.03F);
  CHECK(brightest > 0.03F);
}

TEST_CASE("a curve is its polygon, smoothed: compared with a convolution of the same polygon") {
  // Slopes that hardly vary fix the polygon: a line.
  AugmentationConfig line;
  line.gray_shift = 0, line.gray_slope_min = 1, line.gray_slope_max = 1;
  for (const float v : {0.0F, 0.1F, 0.5F, 0.731F, 1.0F}) CHECK(curve(line, 1)(v) == Approx(v).margin(1e-6));

  // The same draws by hand, then the convolution as a sum over a fine grid.
  const AugmentationConfig config;
  RandomStream random(3, Purpose::gray_curve, 17);
  double g[5];
  g[0] = random.uniform(-0.05, 0.05), g[4] = random.uniform(0.95, 1.05);
  const auto between = [&](double l, double r, double dx) {
    return random.uniform(std::max(l + 0.8 * dx, r - 1.2 * dx), std::min(l + 1.2 * dx, r - 0.8 * dx));
  };
  g[2] = between(g[0], g[4], 0.5), g[1] = between(g[0], g[2], 0.25), g[3] = between(g[2], g[4], 0.25);
  const auto polygon = [&](double x) {
    const int k = std::clamp(static_cast<int>(std::floor(4 * x)), 0, 3);
    return g[k] + (4 * x - k) * (g[k + 1] - g[k]);
  };
  const GrayCurve f = curve(config, 17);
  for (int i = 0; i <= 255; i += 5) {
    double sum = 0, weight = 0;
    for (int k = -4000; k <= 4000; ++k) {
      const double offset = k * 1e-4, density = std::exp(-0.5 * offset * offset / (0.0625 * 0.0625));
      sum += density * polygon(i / 255.0 + offset), weight += density;
    }
    CHECK(static_cast<double>(f(static_cast<float>(i) / 255)) == Approx(sum / weight).margin(1e-5));
  }
}

TEST_CASE("values outside of the range are clamped, also those that are no numbers") {
  const GrayCurve f = curve({}, 4);
  CHECK(f(-3) == f(0));
  CHECK(f(7) == f(1));
  CHECK(f(std::numeric_limits<float>::infinity()) == f(1));
  CHECK(f(std::numeric_limits<float>::quiet_NaN()) == f(0));
}

TEST_CASE("slopes that exclude 1 leave no curve") {
  AugmentationConfig config;
  config.gray_slope_min = 1.5, config.gray_slope_max = 2;
  CHECK_THROWS_AS(curve(config, 0), ConfigError);
}

}  // namespace unet
