// How good a prediction is, page by page.
#pragma once

#include <array>
#include <vector>

#include "unet/image.h"

namespace unet {

/// Counts of (true class, predicted class) over all pages added; ignored pixels (-1) are left out.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int64_t classes) : classes_(classes), count_(static_cast<size_t>(classes * classes)) {}

  /// Throws ShapeError for unequal sizes, DataError for a class outside 0 .. classes-1.
  void add(const LabelMap& predicted, const LabelMap& truth);
  /// The most probable class counts, the first of equals; [H,W,classes]. Throws ShapeError for other shapes.
  void add_probabilities(const Image& probabilities, const LabelMap& truth);

  int64_t classes() const { return classes_; }
  int64_t count(int64_t truth, int64_t predicted) const {
    return count_[static_cast<size_t>(truth * classes_ + predicted)];
  }
  /// Intersection over union of a class; 1 where it occurs neither in truth nor in prediction.
  double iou(int64_t c) const;
  /// 2 |A and B| / (|A| + |B|) of a class; 1 where it occurs in neither.
  double dice(int64_t c) const;
  /// Mean over the classes but the first, background.
  double mean_iou() const;
  double mean_dice() const;
  /// Share of pixels of the right class; 1 where there are none.
  double pixel_accuracy() const;

 private:
  int64_t truth_pixels(int64_t c) const;
  int64_t predicted_pixels(int64_t c) const;

  int64_t classes_;
  std::vector<int64_t> count_;  // [truth][predicted]
};

/// The pixel error of the ISBI 2012 challenge: 1 - max over thresholds of the F1 score of class 1 ("cell"), with counts
/// summed over the whole stack. A pixel is predicted a cell where its probability of the last class exceeds the
/// threshold. Thresholds are 0, 0.1, ... accumulated in double, 11 of them. Source: Fiji, PixelError.java.
class PixelError {
 public:
  static constexpr size_t kThresholds = 11;

  /// probabilities [H,W,K] (of the last class, or the only one); truth > 0 is cell, -1 is left out. Throws ShapeError
  /// for unequal sizes, NumericError where a probability is not a number.
  void add(const Image& probabilities, const LabelMap& truth);

  struct Best {
    double error = 1, threshold = 0;
  };
  Best best() const;
  /// F1 of the cell class at the i-th threshold; 0 where there is no true positive.
  double f1(size_t i) const;
  static double threshold(size_t i);

 private:
  std::array<int64_t, kThresholds> true_positive_{}, predicted_{};
  int64_t truth_ = 0;
};

}  // namespace unet
