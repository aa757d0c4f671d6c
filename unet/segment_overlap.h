// How two segmentations of an image agree: Rand scores and variation of information.
#pragma once

#include <vector>

#include "unet/image.h"

namespace unet {

/// Sizes of segments and of what they have in common, inside the true segments (ids above 0); pixels of true membrane
/// count nowhere.
struct SegmentOverlap {
  std::vector<int64_t> truth;      // px of each true segment
  std::vector<int64_t> predicted;  // px of each predicted segment (ids above 0)
  std::vector<int64_t> common;     // px of each true segment in each predicted segment that meets it
  int64_t alone = 0;               // px in no predicted segment

  int64_t pixels() const;
};

/// Ids are small numbers, such as those of connected_components(). Throws ShapeError for unequal sizes.
SegmentOverlap segment_overlap(const LabelMap& predicted, const LabelMap& truth);

/// Weights of joined pixels, whose F score compares the segmentations; sums over pages are weights, too.
struct RandCounts {
  double both = 0, predicted = 0, truth = 0;  // joined in both, in the prediction, in the truth

  RandCounts& operator+=(const RandCounts& other);
  /// Harmonic mean of both/predicted and both/truth; 1 where nothing is joined in either.
  double f_score() const;
};

/// Unordered pairs of different pixels: the foreground-restricted Rand score of the ISBI 2012 challenge. Pixels in no
/// predicted segment are joined with none.
RandCounts rand_pairs(const SegmentOverlap& overlap);

/// Ordered pairs, a pixel with itself included: V_rand. Source: Arganda-Carreras et al. 2015,
/// doi 10.3389/fnana.2015.00142.
RandCounts rand_squares(const SegmentOverlap& overlap);

/// V_info = 2 I / (H(truth) + H(predicted)), pixels in no predicted segment being segments of their own; 0 where either
/// entropy is 0. Source: as above.
double information_score(const SegmentOverlap& overlap);

}  // namespace unet
