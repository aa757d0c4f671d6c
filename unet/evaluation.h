// Scores of predicted pages against true ones.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "unet/config.h"
#include "unet/inputs.h"

namespace unet {

enum class Metric : uint8_t {
  isbi2012,  // warping, Rand and pixel error, V_rand and V_info after thinning, of membranes (0) between cells (1)
  seg,       // the Cell Tracking Challenge's SEG, of instances
  objects,   // instances found: average precision, precision, recall, F1, panoptic quality, error of their number
  iou,       // intersection over union of each class
  dice,      // Dice coefficient (F1) of each class
  pixel      // share of right pixels; with two classes also the ISBI 2012 pixel error, 1 - best F1 over thresholds
};
template <>
struct EnumNames<Metric> {
  static constexpr std::array<std::string_view, 6> value{"isbi2012", "seg", "objects", "iou", "dice", "pixel"};
};

struct EvaluationOptions {
  std::vector<Metric> metrics{};  // none: all that suit the truth and the predictions
  int64_t margin_px = 0;          // of seg: see SegScore
};

struct Score {
  std::string name;  // such as "iou_class_1", also the key in JSON
  double value = 0;
  std::string comment{};                                  // such as "without background"; may be empty
  std::vector<std::pair<std::string, double>> details{};  // such as the threshold, also in JSON

  /// Comment and details for people: "threshold 0.5".
  std::string remark() const;
};

/// Scores over all pages together; each pair holds the prediction as its image and the truth as its label.
///
/// Truth is understood as in training (`config.labels`, `config.ignore`); but for seg and objects, instances count as
/// one class of objects. A prediction is one channel: floating-point values are the probability of the last of two
/// classes, as unet_infer writes them, and belong to it from 0.5 on. Integers are the truth's class values (or, against
/// instances, ids above 0); 8- and 16-bit values that are none of them are probabilities in units of the type's largest
/// value. isbi2012 takes two classes and no ignored pixels; seg and objects take instances on both sides. Throws
/// DataError for predictions of other kinds, for a metric that does not suit them, and what reading throws.
std::vector<Score> evaluate(const std::vector<PagePair>& pages, const DataConfig& config,
                            const EvaluationOptions& options);

/// {"pages": N, "scores": {name: value, ...}, "details": {name: {detail: value, ...}, ...}}, indented; names without
/// details are left out there.
std::string scores_json(const std::vector<Score>& scores, size_t pages);

}  // namespace unet
