#include "unet/weight_map.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "unet/instance_distance.h"

namespace unet {
namespace {

void check_class(int32_t label, size_t classes) {
  if (label >= -1 && label < static_cast<int64_t>(classes)) return;
  throw DataError(concat("weight_map: expected classes 0 to ", static_cast<int64_t>(classes) - 1,
                         " or -1 for ignored, got ", label, "; check the number of classes"));
}

/// exp(-distance^2 / (2 sigma^2))
class Gaussian {
 public:
  explicit Gaussian(double sigma) : scale_(-0.5 / (sigma * sigma)) {}
  double operator()(double squared_distance) const { return std::exp(scale_ * squared_distance); }
  /// From here on the value is below the smallest float.
  double squared_reach() const { return -104 / scale_; }

 private:
  double scale_;
};

/// Gaussian of d1 + d2; 0 where there are fewer than two instances.
double border(const Gaussian& gaussian, int64_t first, int64_t second) {
  if (static_cast<double>(second) > gaussian.squared_reach()) return 0;
  const double sum = std::sqrt(static_cast<double>(first)) + std::sqrt(static_cast<double>(second));
  return gaussian(sum * sum);
}

}  // namespace

void ClassFrequencies::add(const LabelMap& classes) {
  for (const int32_t label : classes.data) {
    check_class(label, pixels_.size());
    if (label >= 0) ++pixels_[static_cast<size_t>(label)];
  }
}

std::vector<float> ClassFrequencies::weights(ClassBalance balance) const {
  const auto total = static_cast<double>(std::accumulate(pixels_.begin(), pixels_.end(), int64_t{0}));
  const auto most = static_cast<double>(*std::max_element(pixels_.begin(), pixels_.end()));
  std::vector<float> weights;
  for (const int64_t count : pixels_) {
    const auto pixels = static_cast<double>(count);
    double weight = 1;
    if (balance == ClassBalance::inv) weight = total / (static_cast<double>(pixels_.size()) * pixels);
    if (balance == ClassBalance::max1) weight = most / pixels;
    weights.push_back(count == 0 ? 0.0F : static_cast<float>(weight));
  }
  return weights;
}

Image weight_map(const LabelMap& instances, const LabelMap& classes, const std::vector<float>& class_weights,
                 const WeightMapConfig& config) {
  if (instances.height != classes.height || instances.width != classes.width || instances.channels != 1 ||
      classes.channels != 1) {
    throw ShapeError(concat("weight_map: expected instances and classes of one shape and one channel, got ",
                            instances.shape_text(), " and ", classes.shape_text()));
  }
  Image weights(classes.height, classes.width);
  for (size_t i = 0; i < classes.data.size(); ++i) {
    const int32_t label = classes.data[i];
    check_class(label, class_weights.size());
    if (label < 0) continue;
    weights.data[i] = config.kind == WeightMapKind::paper ? class_weights[static_cast<size_t>(label)] : 1.0F;
  }
  if (config.kind == WeightMapKind::none || (config.kind == WeightMapKind::paper && config.w0 == 0)) return weights;

  const auto [first, second] = instance_distances(instances);
  const Gaussian gap(config.kind == WeightMapKind::paper ? config.sigma : 6);
  const Gaussian rim(10);
  for (size_t i = 0; i < classes.data.size(); ++i) {
    const int32_t label = classes.data[i];
    const int64_t d1 = first.data[i], d2 = second.data[i];
    if (config.kind == WeightMapKind::falk) {
      if (label == 0)
        weights.data[i] = static_cast<float>(0.1 + 0.9 * rim(static_cast<double>(d1)) + 50 * border(gap, d1, d2));
    } else if (label == 0 || (label > 0 && config.everywhere)) {
      weights.data[i] += static_cast<float>(config.w0 * border(gap, d1, d2));
    }
  }
  return weights;
}

}  // namespace unet
