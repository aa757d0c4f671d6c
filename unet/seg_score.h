// The segmentation accuracy SEG of the Cell Tracking Challenge.
#pragma once

#include "unet/image.h"

namespace unet {

/// Mean over the true objects of all pages of the Jaccard index with the predicted object that covers more than half of
/// them, 0 where none does. Predicted objects without a true one cost nothing, so that pages of which only some cells
/// are annotated count as they should. Source: celltrackingchallenge.net/evaluation-methodology.
class SegScore {
 public:
  /// A predicted object counts only if a pixel of it is at least `margin_px` from all sides of the image: the field of
  /// interest. Challenge: 50 for DIC-C2DH-HeLa, PhC-C2DH-U373 and most others, 25 for PhC-C2DL-PSC, Fluo-N2DL-HeLa and
  /// BF-C2DL-*, 0 for synthetic ones.
  explicit SegScore(int64_t margin_px = 0) : margin_px_(margin_px) {}

  /// Ids above 0 are objects; pixels whose truth is below 0 are left out. Throws ShapeError for unequal sizes.
  void add(const LabelMap& predicted, const LabelMap& truth);

  int64_t objects() const { return objects_; }  // true ones
  int64_t matched() const { return matched_; }
  /// 0 where there is no true object.
  double value() const { return objects_ == 0 ? 0 : jaccard_sum_ / static_cast<double>(objects_); }

 private:
  int64_t margin_px_;
  int64_t objects_ = 0, matched_ = 0;
  double jaccard_sum_ = 0;
};

}  // namespace unet
