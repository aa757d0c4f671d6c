#include "unet/object_score.h"

#include <functional>
#include <map>
#include <set>

#include "kernels/philox.h"
#include "tests/catch.h"

namespace unet {
namespace {

/// Rectangles of all sizes, later ones over earlier ones, so that many touch; ids have gaps. `ignored`: some are -1.
LabelMap rectangles(uint64_t seed, int64_t count, bool ignored) {
  LabelMap labels(12, 14);
  for (int64_t i = 0; i < count; ++i) {
    const kernels::PhiloxBlock block = kernels::philox({.seed = seed}, static_cast<uint64_t>(i));
    const auto& random = block.word;
    const int64_t top = random[0] % 12, left = random[1] % 14, height = 1 + random[2] % 6, width = 1 + random[3] % 6;
    const auto id = static_cast<int32_t>(ignored && random[0] % 5 == 4 ? -1 : 3 * i + 1);
    for (int64_t y = top; y < std::min<int64_t>(top + height, 12); ++y) {
      for (int64_t x = left; x < std::min<int64_t>(left + width, 14); ++x) labels.at(y, x) = id;
    }
  }
  return labels;
}

std::set<int32_t> ids_of(const LabelMap& labels) {
  std::set<int32_t> ids(labels.data.begin(), labels.data.end());
  ids.erase(0), ids.erase(-1);
  return ids;
}

int64_t count_pixels(const LabelMap& predicted, const LabelMap& truth,
                     const std::function<bool(int32_t, int32_t)>& counts) {
  int64_t pixels = 0;
  for (size_t i = 0; i < truth.data.size(); ++i) pixels += counts(predicted.data[i], truth.data[i]) ? 1 : 0;
  return pixels;
}

/// Counts by trying all ways to pair objects, with every IoU from the pixels.
struct Expected {
  Expected(const LabelMap& predicted, const LabelMap& truth) : truths(ids_of(truth)) {
    for (const int32_t p : ids_of(predicted)) {
      const int64_t all = count_pixels(predicted, truth, [p](int32_t q, int32_t) { return q == p; });
      const int64_t ignored = count_pixels(predicted, truth, [p](int32_t q, int32_t t) { return q == p && t < 0; });
      if (2 * ignored <= all) predictions.insert(p);
    }
    for (const int32_t t : truths) {
      for (const int32_t p : predictions) {
        const auto both = count_pixels(predicted, truth, [=](int32_t q, int32_t s) { return q == p && s == t; });
        const auto either =
            count_pixels(predicted, truth, [=](int32_t q, int32_t s) { return s >= 0 && (q == p || s == t); });
        iou[{t, p}] = static_cast<double>(both) / static_cast<double>(either);
      }
    }
  }
  int64_t most_pairs(double threshold) const { return most_pairs(threshold, truths, predictions); }
  int64_t most_pairs(double threshold, std::set<int32_t> left, const std::set<int32_t>& free) const {
    if (left.empty()) return 0;
    const int32_t t = *left.begin();
    left.erase(left.begin());
    int64_t most = most_pairs(threshold, left, free);
    for (const int32_t p : free) {
      if (iou.at({t, p}) < threshold - 1e-12) continue;
      std::set<int32_t> others = free;
      others.erase(p);
      most = std::max(most, 1 + most_pairs(threshold, left, others));
    }
    return most;
  }
  std::set<int32_t> truths, predictions;
  std::map<std::pair<int32_t, int32_t>, double> iou;
};

LabelMap row(const std::vector<int32_t>& values) {
  LabelMap labels(1, std::ssize(values));
  labels.data = values;
  return labels;
}

}  // namespace

TEST_CASE("objects: by hand") {
  ObjectScore score;
  //        9 of 10 pixels           half          missed     invented
  score.add(row({4, 4, 4, 4, 4, 4, 4, 4, 4, 0, 0, 6, 6, 0, 0, 0, 0, 0, 0, 9}),
            row({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 3, 3, 0, 0}));
  CHECK(score.counts(0).matched == 2);  // IoU 0.9 and 0.5
  CHECK(score.counts(1).matched == 1);
  CHECK(score.counts(8).matched == 1);  // at 0.9
  CHECK(score.counts(9).matched == 0);
  CHECK(score.average_precision(0) == 2.0 / 4);
  CHECK(score.average_precision(8) == 1.0 / 5);
  CHECK(score.mean_average_precision() == Approx((2.0 / 4 + 8 * (1.0 / 5)) / 10));
  CHECK(score.counts(0).precision() == 2.0 / 3);
  CHECK(score.counts(0).recall() == 2.0 / 3);
  CHECK(score.counts(0).f1() == 2.0 / 3);
  CHECK(score.panoptic_quality() == Approx((0.9 + 0.5) / 3));
  CHECK(score.count_error() == 0);
}

TEST_CASE("objects: mean over pages, counts over all, pages without objects nowhere") {
  ObjectScore score;
  score.add(row({1, 0, 2, 0, 3, 0}), row({1, 0, 2, 0, 3, 0}));
  score.add(row({1, 0, 0, 0, 0, 0}), row({0, 0, 5, 0, 0, 0}));
  score.add(row({0, 0}), row({0, -1}));
  CHECK(score.average_precision(0) == 0.5);
  CHECK(score.counts(0).precision() == 0.75);
  score.add(row({1, 0, 1, 0}), row({1, 0, 2, 0}));
  CHECK(score.count_error() == Approx(1.0 / 6));
}

TEST_CASE("objects: as many matches as any pairing can reach, at every threshold") {
  int64_t half_matches = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const LabelMap truth = rectangles(2 * seed, 1 + static_cast<int64_t>(seed % 7), seed % 3 == 0);
    LabelMap predicted = seed % 2 == 0 ? truth : rectangles(2 * seed + 1, 1 + static_cast<int64_t>(seed % 5), false);
    for (size_t i = 0; i < predicted.data.size(); ++i) {  // some fall into halves, some grow into ignored ground
      int32_t& p = predicted.data[i];
      if (p > 0 && seed % 4 == 0 && i % 2 == 0) p += 1000;
      if (p < 0) p = 1;
    }
    ObjectScore score;
    score.add(predicted, truth);
    const Expected expected(predicted, truth);
    CAPTURE(seed);
    for (size_t i = 0; i < ObjectScore::kThresholds; ++i) {
      REQUIRE(score.counts(i).matched == expected.most_pairs(ObjectScore::threshold(i)));
    }
    REQUIRE(score.counts(0).predicted == std::ssize(expected.predictions));
    REQUIRE(score.counts(0).truth == std::ssize(expected.truths));
    half_matches += score.counts(0).matched - score.counts(1).matched;
  }
  CHECK(half_matches > 50);  // the hard case occurs
}

TEST_CASE("objects: nothing to score, nothing that fits") {
  ObjectScore score;
  CHECK(score.average_precision(0) == 0);
  CHECK(score.mean_average_precision() == 0);
  CHECK(score.panoptic_quality() == 0);
  CHECK(score.count_error() == 0);
  score.add(row({1, 2}), row({0, 0}));
  CHECK(score.count_error() == 2);
  CHECK(score.counts(0).precision() == 0);
  CHECK_THROWS_AS(score.add(LabelMap(2, 3), LabelMap(3, 2)), ShapeError);
}

}  // namespace unet
