// Scores of predicted pages against true ones.
#pragma once

#include <string>
#include <vector>

#include "unet/config.h"
#include "unet/inputs.h"

namespace unet {

enum class Metric : uint8_t {
  iou,   // intersection over union of each class
  dice,  // Dice coefficient (F1) of each class
  pixel  // share of right pixels; with two classes also the ISBI 2012 pixel error, 1 - best F1 over thresholds
};
template <>
struct EnumNames<Metric> {
  static constexpr std::array<std::string_view, 3> value{"iou", "dice", "pixel"};
};

struct Score {
  std::string name;  // such as "iou_class_1", also the key in JSON
  double value = 0;
  std::string comment;  // such as "best threshold 0.5"; may be empty
};

/// Scores over all pages together; each pair holds the prediction as its image and the truth as its label.
///
/// Truth is understood as in training (`config.labels`, `config.ignore`); instances count as one class of objects.
/// A prediction is one channel: floating-point values are the probability of the last of two classes, as unet_infer
/// writes them, and belong to it from 0.5 on. Integers are the truth's class values (or, against instances, ids above
/// 0); 8- and 16-bit values that are none of them are probabilities in units of the type's largest value. Throws
/// DataError for predictions of other kinds, and what reading throws.
std::vector<Score> evaluate(const std::vector<PagePair>& pages, const DataConfig& config,
                            const std::vector<Metric>& metrics);

/// {"pages": N, "scores": {name: value, ...}}, indented.
std::string scores_json(const std::vector<Score>& scores, size_t pages);

}  // namespace unet
