// The pixel weights of the loss: class balance, and emphasis on the gaps between objects.
#pragma once

#include "unet/config.h"
#include "unet/image.h"

namespace unet {

/// Counts the pixels of each class over a training set.
class ClassFrequencies {
 public:
  explicit ClassFrequencies(int64_t classes) : pixels_(static_cast<size_t>(classes)) {}

  /// Adds a carved class map [H,W,1]; -1 is not counted. Throws DataError for a class outside 0 .. classes-1.
  void add(const LabelMap& classes);
  const std::vector<int64_t>& pixels() const { return pixels_; }

  /// Weight of each class: `inv` N / (K N_k) with N the pixels of all K classes, `max1` N_max / N_k, `none` 1. A class
  /// without pixels weighs 0.
  std::vector<float> weights(ClassBalance balance) const;

 private:
  std::vector<int64_t> pixels_;  // of each class
};

/// Weights [H,W,1] of one page. With d1 <= d2 the distances in px to the two nearest instances and w_c the class
/// weight:
///
///   paper:  w = w_c(class) + w0 exp(-(d1+d2)^2 / (2 sigma^2))
///   falk:   w = 1 on objects, 0.1 + 0.9 exp(-d1^2 / (2 10^2)) + 50 exp(-(d1+d2)^2 / (2 6^2)) on background
///   none:   w = 1
///
/// The border term of `paper` acts on class 0, or on all classes with config.everywhere; it is 0 where the page has
/// fewer than two instances. Ignored pixels (class -1) weigh 0. Distances are those of the instances before carving: a
/// carved pixel has d1 = 0.
///
/// instances [H,W,1]: id > 0. classes [H,W,1]: carved, 0 .. class_weights.size()-1 or -1. Throws ShapeError for unequal
/// shapes, DataError for a class without weight. Sources: Ronneberger et al. 2015, eq. 2; Falk et al. 2019 (falk).
Image weight_map(const LabelMap& instances, const LabelMap& classes, const std::vector<float>& class_weights,
                 const WeightMapConfig& config);

}  // namespace unet
