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

/// What the pages of a prediction hold.
enum class PredictionKind : uint8_t {
  automatic,
  probabilities,  // of the last of two classes: from 0 to 1, or integers of up to 16 bits from 0 to their largest value
  classes,        // the truth's class values
  instances       // ids above 0
};
template <>
struct EnumNames<PredictionKind> {
  static constexpr std::array<std::string_view, 4> value{"auto", "probabilities", "classes", "instances"};
};

struct EvaluationOptions {
  std::vector<Metric> metrics{};  // none: all that suit the truth and the predictions
  int64_t margin_px = 0;          // of seg: see SegScore
  PredictionKind predictions = PredictionKind::automatic;
};

struct Score {
  std::string name;  // such as "iou_class_1", also the key in JSON
  double value = 0;
  std::string comment{};                                  // such as "without background"; may be empty
  std::vector<std::pair<std::string, double>> details{};  // such as the threshold, also in JSON

  /// Comment and details for people: "threshold 0.5".
  std::string remark() const;
};

struct Evaluation {
  PredictionKind predictions;  // as told, or as found
  std::vector<Score> scores;
};

/// Scores over all pages together; each pair holds the prediction as its image and the truth as its label.
///
/// Truth is understood as in training (`config.labels`, `config.ignore`); but for seg and objects, instances count as
/// one class of objects. Predictions have one channel. Automatically, floating-point values are probabilities and
/// integers against instances are ids; other integers are classes where all values of all pages are class values of the
/// truth, else probabilities. From a probability of 0.5 on a pixel belongs to the last class.
///
/// isbi2012 takes two classes and no ignored pixels; seg and objects take instances on both sides. Throws DataError for
/// predictions of other kinds, for a metric that does not suit them, and what reading throws.
Evaluation evaluate(const std::vector<PagePair>& pages, const DataConfig& config, const EvaluationOptions& options);

/// {"pages": N, "scores": {name: value, ...}, "details": {name: {detail: value, ...}, ...}}, indented; names without
/// details are left out there.
std::string scores_json(const std::vector<Score>& scores, size_t pages);

}  // namespace unet
