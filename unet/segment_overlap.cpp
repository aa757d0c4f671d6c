#include "unet/segment_overlap.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace unet {
namespace {

void count(std::vector<int64_t>& sizes, int32_t id, int64_t pixels) {
  const auto index = static_cast<size_t>(id) - 1;
  if (index >= sizes.size()) sizes.resize(index + 1);
  sizes[index] += pixels;
}

template <class Weight>
double sum(const std::vector<int64_t>& sizes, Weight weight) {
  return std::accumulate(sizes.begin(), sizes.end(), 0.0,
                         [&](double total, int64_t size) { return total + weight(static_cast<double>(size)); });
}

double pairs(double size) { return size * (size - 1) / 2; }
double square(double size) { return size * size; }

}  // namespace

int64_t SegmentOverlap::pixels() const { return std::accumulate(truth.begin(), truth.end(), int64_t{0}); }

SegmentOverlap segment_overlap(const LabelMap& predicted, const LabelMap& truth) {
  if (predicted.height != truth.height || predicted.width != truth.width) {
    throw ShapeError(concat("segment overlap: expected a prediction of the truth's size ", truth.height, "x",
                            truth.width, ", got ", predicted.height, "x", predicted.width));
  }
  struct Run {  // consecutive pixels of one pair of segments
    int32_t predicted;
    int64_t pixels;
  };
  SegmentOverlap overlap;
  std::vector<std::vector<Run>> runs;  // of each true segment
  for (size_t begin = 0, end = 0; begin < truth.data.size(); begin = end) {
    const int32_t t = truth.data[begin], p = predicted.data[begin];
    while (end < truth.data.size() && truth.data[end] == t && predicted.data[end] == p) ++end;
    if (t <= 0) continue;
    const auto pixels = static_cast<int64_t>(end - begin);
    count(overlap.truth, t, pixels);
    if (p <= 0) {
      overlap.alone += pixels;
      continue;
    }
    count(overlap.predicted, p, pixels);
    runs.resize(overlap.truth.size());
    runs[static_cast<size_t>(t) - 1].push_back({p, pixels});
  }
  std::vector<int64_t> common(overlap.predicted.size());  // of one true segment with each predicted one
  for (const std::vector<Run>& of_segment : runs) {
    for (const auto& [p, pixels] : of_segment) common[static_cast<size_t>(p) - 1] += pixels;
    for (const auto& [p, pixels] : of_segment) {
      const int64_t all = std::exchange(common[static_cast<size_t>(p) - 1], 0);
      if (all > 0) overlap.common.push_back(all);
    }
  }
  return overlap;
}

RandCounts& RandCounts::operator+=(const RandCounts& other) {
  both += other.both;
  predicted += other.predicted;
  truth += other.truth;
  return *this;
}

double RandCounts::f_score() const { return predicted + truth == 0 ? 1 : 2 * both / (predicted + truth); }

RandCounts rand_pairs(const SegmentOverlap& overlap) {
  return {sum(overlap.common, pairs), sum(overlap.predicted, pairs), sum(overlap.truth, pairs)};
}

RandCounts rand_squares(const SegmentOverlap& overlap) {
  const auto alone = static_cast<double>(overlap.alone);
  return {sum(overlap.common, square) + alone, sum(overlap.predicted, square) + alone, sum(overlap.truth, square)};
}

double information_score(const SegmentOverlap& overlap) {
  const auto all = static_cast<double>(overlap.pixels());
  const auto entropy = [all](const std::vector<int64_t>& sizes, int64_t single_pixels) {
    const auto share_log = [all](double size) { return size > 0 ? size / all * std::log(size / all) : 0; };
    return -sum(sizes, share_log) - static_cast<double>(single_pixels) * share_log(1);
  };
  const double truth = entropy(overlap.truth, 0), predicted = entropy(overlap.predicted, overlap.alone);
  if (truth == 0 || predicted == 0) return 0;
  const double mutual = truth + predicted - entropy(overlap.common, overlap.alone);
  return std::max(0.0, 2 * mutual / (truth + predicted));
}

}  // namespace unet
