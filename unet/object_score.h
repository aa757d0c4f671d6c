// How well objects were found: average precision over thresholds of overlap, and their number.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "unet/image.h"

namespace unet {

/// Matches predicted objects with true ones, page by page. A pair matches at a threshold if its intersection over union
/// (IoU) is at least that large; an object matches once. Pages without any object count nowhere. Source: the measure of
/// the Data Science Bowl 2018 as Cellpose and StarDist take it (the challenge itself took more than the threshold).
class ObjectScore {
 public:
  static constexpr size_t kThresholds = 10;  // 0.5, 0.55, .., 0.95
  static double threshold(size_t i) { return 0.5 + 0.05 * static_cast<double>(i); }

  /// Ids above 0 are objects. Pixels whose truth is below 0 count on neither side; predicted objects of which these are
  /// more than half are left out. Throws ShapeError for unequal sizes.
  void add(const LabelMap& predicted, const LabelMap& truth);

  /// At a threshold, over all pages.
  struct Counts {
    int64_t matched = 0, predicted = 0, truth = 0;
    double precision() const;  // matched / predicted; 0 where nothing matches
    double recall() const;     // matched / truth
    double f1() const;         // 2 matched / (predicted + truth)
  };
  Counts counts(size_t i) const { return {matched_[i], predicted_, truth_}; }

  /// TP / (TP + FP + FN) at a threshold, mean over pages (Cellpose); 0 without pages.
  double average_precision(size_t i) const;
  /// Mean of these over the thresholds.
  double mean_average_precision() const;
  /// Sum of the IoUs of matched pairs at 0.5, of (TP + FP/2 + FN/2): Kirillov et al. 2019, doi 10.1109/CVPR.2019.00963.
  double panoptic_quality() const;
  /// |predicted - true| number of objects, summed over pages, divided by the number of all true ones (at least 1).
  double count_error() const;

 private:
  int64_t pages_ = 0, predicted_ = 0, truth_ = 0, miscounted_ = 0;
  std::array<int64_t, kThresholds> matched_{};
  std::array<double, kThresholds> precision_sum_{};  // of TP / (TP + FP + FN), over pages
  double iou_sum_ = 0;                               // of pairs matched at 0.5
};

}  // namespace unet
