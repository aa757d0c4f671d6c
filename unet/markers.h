// Partial annotation: objects that are marked but have no outline in the labels are left out of training, so that no
// object is ever taught as background.
#pragma once

#include <vector>

#include "unet/image.h"

namespace unet {

/// The marks of one page beside its labels.
struct MarkedPage {
  LabelMap unlabelled;             // [H,W,1] 1 on the marks of objects without a label, else 0
  int64_t objects = 0;             // marked ones
  int64_t unlabelled_objects = 0;  // of them
  std::vector<double> reaches_px;  // of each labelled object with a mark: its pixels' largest distance from any mark
};

/// Tells which marked objects have a label. markers [H,W,1]: a value above 0 marks, and pixels of one value that touch
/// (corners count) mark one object: dots and traces of a cell tracker, masks of another annotator, ids or not. An
/// object has a label if labels cover more than half of its mark, as the Cell Tracking Challenge matches marks with
/// cells. instances [H,W,1]: id > 0, 0 background, -1 ignore. Throws ShapeError for unequal shapes.
MarkedPage compare_markers(const LabelMap& markers, const LabelMap& instances);

/// Makes background within `radius_px` of the marks of unlabelled objects ignored: -1 in instances and classes.
/// Distances are Euclidean, between pixel centres, exact. Labelled pixels stay. Returns how many pixels it was.
int64_t ignore_unlabelled(const MarkedPage& page, double radius_px, LabelMap& instances, LabelMap& classes);

}  // namespace unet
