#include "unet/seg_score.h"

#include <map>
#include <set>

namespace unet {
namespace {

std::set<int32_t> ids_inside(const LabelMap& labels, int64_t margin) {
  std::set<int32_t> ids;
  for (int64_t y = margin; y < labels.height - margin; ++y) {
    for (int64_t x = margin; x < labels.width - margin; ++x) {
      if (const int32_t id = labels.at(y, x); id > 0 && (x == margin || labels.at(y, x - 1) != id)) ids.insert(id);
    }
  }
  return ids;
}

}  // namespace

void SegScore::add(const LabelMap& predicted, const LabelMap& truth) {
  if (predicted.shape_text() != truth.shape_text()) {
    throw ShapeError(concat("seg: expected a prediction of the truth's size ", truth.height, "x", truth.width, ", got ",
                            predicted.height, "x", predicted.width));
  }
  const std::set<int32_t> inside = ids_inside(predicted, margin_px_);
  std::map<int32_t, int64_t> truth_px, predicted_px;
  std::map<std::pair<int32_t, int32_t>, int64_t> common_px;  // (true id, predicted id)
  for (size_t begin = 0, end = 0; begin < truth.data.size(); begin = end) {
    const int32_t t = truth.data[begin], p = predicted.data[begin];
    while (end < truth.data.size() && truth.data[end] == t && predicted.data[end] == p) ++end;
    const auto pixels = static_cast<int64_t>(end - begin);
    if (t > 0) truth_px[t] += pixels;
    if (t >= 0 && p > 0) predicted_px[p] += pixels;
    if (t > 0 && inside.contains(p)) common_px[{t, p}] += pixels;
  }
  objects_ += std::ssize(truth_px);
  for (const auto& [ids, common] : common_px) {
    const int64_t of_truth = truth_px.at(ids.first);
    if (2 * common <= of_truth) continue;
    ++matched_;
    jaccard_sum_ += static_cast<double>(common) / static_cast<double>(of_truth + predicted_px.at(ids.second) - common);
  }
}

}  // namespace unet
