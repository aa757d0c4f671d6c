#include "unet/object_score.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace unet {
namespace {

double ratio(double part, double whole) { return part == 0 ? 0 : part / whole; }

struct Overlaps {
  std::map<int32_t, int64_t> truth, predicted;            // px of each object, without ignored ones
  std::map<std::pair<int32_t, int32_t>, int64_t> common;  // px of (true id, predicted id)
};

Overlaps overlaps(const LabelMap& predicted, const LabelMap& truth) {
  Overlaps found;
  std::map<int32_t, int64_t> ignored;  // px of predicted objects
  for (size_t begin = 0, end = 0; begin < truth.data.size(); begin = end) {
    const int32_t t = truth.data[begin], p = predicted.data[begin];
    while (end < truth.data.size() && truth.data[end] == t && predicted.data[end] == p) ++end;
    const auto pixels = static_cast<int64_t>(end - begin);
    if (t > 0) found.truth[t] += pixels;
    if (p > 0) (t < 0 ? ignored : found.predicted)[p] += pixels;
    if (t > 0 && p > 0) found.common[{t, p}] += pixels;
  }
  for (const auto& [id, pixels] : ignored) {
    const auto seen = found.predicted.find(id);
    if (seen == found.predicted.end() || pixels <= seen->second) continue;
    found.predicted.erase(seen);
    std::erase_if(found.common, [id = id](const auto& pair) { return pair.first.second == id; });
  }
  return found;
}

}  // namespace

double ObjectScore::Counts::precision() const {
  return ratio(static_cast<double>(matched), static_cast<double>(predicted));
}
double ObjectScore::Counts::recall() const { return ratio(static_cast<double>(matched), static_cast<double>(truth)); }
double ObjectScore::Counts::f1() const {
  return ratio(2 * static_cast<double>(matched), static_cast<double>(predicted + truth));
}

void ObjectScore::add(const LabelMap& predicted, const LabelMap& truth) {
  if (predicted.shape_text() != truth.shape_text()) {
    throw ShapeError(concat("objects: expected a prediction of the truth's size ", truth.height, "x", truth.width,
                            ", got ", predicted.height, "x", predicted.width));
  }
  const Overlaps found = overlaps(predicted, truth);
  const int64_t true_count = std::ssize(found.truth), predicted_count = std::ssize(found.predicted);
  if (true_count + predicted_count == 0) return;
  ++pages_;
  truth_ += true_count, predicted_ += predicted_count;
  miscounted_ += std::abs(true_count - predicted_count);

  std::array<int64_t, kThresholds> matched{};
  // Above 0.5 an object has one partner at most. Two partners at exactly 0.5 are its halves and overlap nothing else,
  // so that taking pairs in any order matches as many as can be.
  std::set<int32_t> taken_truth, taken_predicted;
  for (const auto& [ids, common] : found.common) {
    const int64_t either = found.truth.at(ids.first) + found.predicted.at(ids.second) - common;
    if (2 * common < either || taken_truth.contains(ids.first) || taken_predicted.contains(ids.second)) continue;
    taken_truth.insert(ids.first), taken_predicted.insert(ids.second);
    iou_sum_ += static_cast<double>(common) / static_cast<double>(either);
    for (size_t i = 0; i < kThresholds && 20 * common >= (10 + static_cast<int64_t>(i)) * either; ++i) ++matched[i];
  }
  for (size_t i = 0; i < kThresholds; ++i) {
    matched_[i] += matched[i];
    precision_sum_[i] +=
        static_cast<double>(matched[i]) / static_cast<double>(true_count + predicted_count - matched[i]);
  }
}

double ObjectScore::average_precision(size_t i) const { return ratio(precision_sum_[i], static_cast<double>(pages_)); }

double ObjectScore::mean_average_precision() const {
  const double sum = std::accumulate(precision_sum_.begin(), precision_sum_.end(), 0.0);
  return ratio(sum, static_cast<double>(pages_ * static_cast<int64_t>(kThresholds)));
}

double ObjectScore::panoptic_quality() const { return ratio(2 * iou_sum_, static_cast<double>(predicted_ + truth_)); }

double ObjectScore::count_error() const {
  return static_cast<double>(miscounted_) / static_cast<double>(std::max<int64_t>(truth_, 1));
}

}  // namespace unet
