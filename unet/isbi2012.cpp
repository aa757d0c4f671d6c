#include "unet/isbi2012.h"

#include <algorithm>
#include <functional>

#include "unet/components.h"
#include "unet/warping_error.h"
#include "unet/watershed.h"

namespace unet {
namespace {

LabelMap above(const Image& probabilities, double threshold) {
  LabelMap cells(probabilities.height, probabilities.width);
  std::transform(probabilities.data.begin(), probabilities.data.end(), cells.data.begin(),
                 [threshold](float p) { return static_cast<double>(p) > threshold ? 1 : 0; });
  return cells;
}

LabelMap segments(const LabelMap& cells) { return connected_components(cells, Connectivity::four).ids; }

/// The best of `count` values by threshold.
template <class Better, class Value>
BestScore best(size_t count, Better better, Value value) {
  BestScore found{value(0), PixelError::threshold(0)};
  for (size_t k = 1; k < count; ++k) {
    if (better(value(k), found.value)) found = {value(k), PixelError::threshold(k)};
  }
  return found;
}

}  // namespace

void Isbi2012::add(const Image& probabilities, const LabelMap& truth) {
  if (probabilities.shape_text() != truth.shape_text() || truth.channels != 1) {
    throw ShapeError(concat("isbi2012: expected a prediction and a truth of one channel and the same size, got ",
                            probabilities.shape_text(), " and ", truth.shape_text()));
  }
  if (std::any_of(truth.data.begin(), truth.data.end(), [](int32_t t) { return t < 0; })) {
    throw DataError("isbi2012: expected truth at every pixel, got ignored pixels");
  }
  pixel_error_.add(probabilities, truth);
  LabelMap true_cells = truth;
  for (int32_t& value : true_cells.data) value = std::min(value, 1);
  const LabelMap true_segments = segments(true_cells);
  for (size_t k = 0; k < kThresholds; ++k) {
    const double threshold = PixelError::threshold(k);
    if (k < splits_and_merges_.size()) {
      const WarpingMistakes mistakes = warping_mistakes(probabilities, true_cells, threshold);
      splits_and_merges_[k] += mistakes.splits + mistakes.merges;
      mistakes_[k] += mistakes.total();
    }
    const LabelMap predicted = segments(above(probabilities, threshold));
    rand_[k] += rand_pairs(segment_overlap(predicted, true_segments));
    const SegmentOverlap thinned = segment_overlap(watershed(predicted), true_segments);
    v_rand_[k] += rand_squares(thinned).f_score();
    v_info_[k] += information_score(thinned);
  }
  ++pages_;
  pixels_ += truth.pixels();
}

Isbi2012::Scores Isbi2012::scores() const {
  const auto pages = static_cast<double>(pages_), pixels = static_cast<double>(pixels_);
  const PixelError::Best pixel_error = pixel_error_.best();
  return {
      .warping_error = best(splits_and_merges_.size(), std::less<>(),
                            [&](size_t k) { return static_cast<double>(splits_and_merges_[k]) / pixels; }),
      .warping_error_classic =
          best(mistakes_.size(), std::less<>(), [&](size_t k) { return static_cast<double>(mistakes_[k]) / pixels; }),
      .rand_error = best(kThresholds, std::less<>(), [&](size_t k) { return 1 - rand_[k].f_score(); }),
      .pixel_error = {pixel_error.error, pixel_error.threshold},
      .v_rand = best(kThresholds, std::greater<>(), [&](size_t k) { return v_rand_[k] / pages; }),
      .v_info = best(kThresholds, std::greater<>(), [&](size_t k) { return v_info_[k] / pages; }),
  };
}

}  // namespace unet
