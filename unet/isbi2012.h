// The scores of the ISBI 2012 challenge "Segmentation of neuronal structures in EM stacks".
#pragma once

#include <array>
#include <cstddef>

#include "unet/metrics.h"
#include "unet/segment_overlap.h"

namespace unet {

/// A score at the threshold where it is best for the whole stack; the lowest of equals.
struct BestScore {
  double value = 0, threshold = 0;
};

/// Collects a stack, page by page. All scores threshold the probability of cell; each is taken at its own best
/// threshold. Segments are 4-connected cells, page by page; pixels of true membrane count in none but the warping and
/// pixel error. Source: Fiji, package trainableSegmentation.metrics, as the challenge called it.
class Isbi2012 {
 public:
  /// Probability of cell [H,W,1] in [0,1]; truth: cell above 0, membrane 0. Throws ShapeError for other shapes or
  /// unequal sizes, DataError for truth below 0, which the challenge does not know.
  void add(const Image& probabilities, const LabelMap& truth);

  struct Scores {
    BestScore warping_error;  // pixels that split or merge cells after warping, of all pixels; thresholds 0 .. 0.9
    BestScore warping_error_classic;  // all pixels that differ after warping, of all pixels: Jain et al. 2010
    BestScore rand_error;             // 1 - F score of pairs of pixels, summed over the stack
    BestScore pixel_error;            // 1 - F1 of cell pixels, summed over the stack
    BestScore v_rand;                 // after thinning the predicted membranes, mean over pages
    BestScore v_info;                 // the same
  };
  Scores scores() const;

 private:
  static constexpr size_t kThresholds = PixelError::kThresholds;

  PixelError pixel_error_;
  std::array<int64_t, kThresholds - 1> splits_and_merges_{}, mistakes_{};
  std::array<RandCounts, kThresholds> rand_{};
  std::array<double, kThresholds> v_rand_{}, v_info_{};  // sums over pages
  int64_t pages_ = 0, pixels_ = 0;
};

}  // namespace unet
