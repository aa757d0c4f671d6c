#include "unet/evaluation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "unet/isbi2012.h"
#include "unet/labels.h"
#include "unet/metrics.h"
#include "unet/object_score.h"
#include "unet/readable.h"
#include "unet/seg_score.h"

namespace unet {
namespace {

/// Opens each file once while pages come in order.
class FileReader {
 public:
  ImageReader& open(const std::filesystem::path& file) {
    if (!reader_ || reader_->path() != file) reader_.emplace(file);
    return *reader_;
  }

 private:
  std::optional<ImageReader> reader_;
};

struct Prediction {
  LabelMap classes;
  std::optional<Image> probability{};  // [H,W,1], of the last of two classes
  std::optional<LabelMap> ids{};       // against instances
};

/// Values in [0,1] that a threshold of one half turns into classes.
Prediction from_probability(Image probability) {
  Prediction prediction{.classes = LabelMap(probability.height, probability.width)};
  std::transform(probability.data.begin(), probability.data.end(), prediction.classes.data.begin(),
                 [](float p) { return p >= 0.5F ? 1 : 0; });
  prediction.probability = std::move(probability);
  return prediction;
}

/// Whether all values of all pages are class values of the truth.
bool are_classes(const std::vector<PagePair>& pages, const LabelSurvey& truth) {
  FileReader files;
  return std::all_of(pages.begin(), pages.end(), [&](const PagePair& pair) {
    const LabelMap values = files.open(pair.image.file).read_labels(pair.image.page);
    return std::all_of(values.data.begin(), values.data.end(), [&](int32_t v) { return truth.class_of(v) >= 0; });
  });
}

PredictionKind kind_of(const std::vector<PagePair>& pages, const LabelSurvey& truth, PredictionKind told) {
  if (told != PredictionKind::automatic) return told;
  for (const auto& [predicted, label] : pages) {
    if (!predicted.info.type.is_integer()) return PredictionKind::probabilities;
  }
  if (truth.kind == LabelKind::instances) return PredictionKind::instances;
  return truth.classes() != 2 || are_classes(pages, truth) ? PredictionKind::classes : PredictionKind::probabilities;
}

/// Throws DataError for predictions that cannot be compared with this truth.
void check_kind(PredictionKind kind, const LabelSurvey& truth) {
  if (kind == PredictionKind::probabilities && truth.classes() != 2) {
    throw DataError(concat("evaluate: the predictions are probabilities, but the truth has ", truth.classes(),
                           " classes; write them with --write classes"));
  }
  const bool of_instances = truth.kind == LabelKind::instances;
  if ((kind == PredictionKind::instances) != of_instances && kind != PredictionKind::probabilities) {
    throw DataError(concat("evaluate: the predictions are ", name_of(kind), ", but the truth is of ",
                           of_instances ? "instances" : "classes"));
  }
}

Image read_probability(ImageReader& reader, const InputPage& page) {
  const SampleType type = page.info.type;
  if (type.is_integer() && (type.kind != SampleKind::unsigned_integer || type.bits > 16)) {
    throw DataError(concat(
        "evaluate: ", page.name(),
        ": expected probabilities as floating-point values or unsigned integers of up to 16 bits, got ", type.name()));
  }
  Image probability = reader.read(page.page);
  for (float& p : probability.data) {
    p /= type.white();
    if (p >= 0 && p <= 1) continue;
    throw DataError(
        concat("evaluate: ", page.name(), ": expected probabilities from 0 to 1, got ", p, "; scale the values"));
  }
  return probability;
}

Prediction read_prediction(ImageReader& reader, const InputPage& page, const LabelSurvey& truth, PredictionKind kind) {
  if (page.info.channels != 1) {
    throw DataError(concat("evaluate: ", page.name(), ": expected one channel, got ", page.info.channels));
  }
  if (kind == PredictionKind::probabilities) return from_probability(read_probability(reader, page));
  LabelMap values = reader.read_labels(page.page);
  if (kind == PredictionKind::instances) {
    LabelMap ids = values;
    for (int32_t& value : values.data) value = value > 0 ? 1 : 0;
    return {.classes = std::move(values), .ids = std::move(ids)};
  }
  for (int32_t& value : values.data) {
    const int32_t found = truth.class_of(value);
    if (found < 0) {
      throw DataError(concat("evaluate: ", page.name(), ": expected the truth's class values, got ", value));
    }
    value = found;
  }
  return {.classes = std::move(values)};
}

/// Classes or ids of the true page: -1 where ignored.
LabelMap read_truth(ImageReader& reader, const InputPage& page, const LabelSurvey& survey) {
  LabelMap truth = read_label_values(reader, page.page);
  survey.translate(truth);
  return truth;
}

Image as_image(const LabelMap& classes) {
  Image image(classes.height, classes.width);
  std::copy(classes.data.begin(), classes.data.end(), image.data.begin());
  return image;
}

void add_per_class(std::vector<Score>& scores, const char* name, const ConfusionMatrix& confusion,
                   double (ConfusionMatrix::*of_class)(int64_t) const, double mean) {
  for (int64_t c = 0; c < confusion.classes(); ++c) {
    scores.push_back({concat(name, "_class_", c), (confusion.*of_class)(c), c == 0 ? "background" : ""});
  }
  if (confusion.classes() > 2) scores.push_back({concat(name, "_mean"), mean, "without background"});
}

/// Why a metric cannot be computed; empty where it can.
std::string obstacle(Metric metric, const LabelSurvey& truth, PredictionKind predictions) {
  const std::string kind = truth.kind == LabelKind::instances ? "instances" : concat(truth.classes(), " classes");
  if (metric == Metric::isbi2012) {
    if (truth.kind != LabelKind::classes || truth.classes() != 2) {
      return concat("isbi2012: expected truth of two classes, membrane and cell, got ", kind);
    }
    if (truth.ignore >= 0) return "isbi2012: the challenge knows no ignored pixels; leave --ignore out";
  }
  if (metric == Metric::seg || metric == Metric::objects) {
    if (truth.kind != LabelKind::instances) {
      return concat(name_of(metric), ": expected instance ids as truth (force with --labels instances), got ", kind);
    }
    if (predictions != PredictionKind::instances) {
      return concat(name_of(metric), ": expected instance ids, the predictions are ", name_of(predictions),
                    "; write them with --write instances");
    }
  }
  return {};
}

/// The metrics asked for, or all that can be computed.
std::vector<Metric> chosen_metrics(const std::vector<Metric>& asked, const LabelSurvey& truth,
                                   PredictionKind predictions) {
  std::vector<Metric> chosen;
  for (size_t i = 0; i < EnumNames<Metric>::value.size(); ++i) {
    const auto metric = static_cast<Metric>(i);
    const bool is_asked = std::find(asked.begin(), asked.end(), metric) != asked.end();
    if (!asked.empty() && !is_asked) continue;
    const std::string why_not = obstacle(metric, truth, predictions);
    if (is_asked && !why_not.empty()) throw DataError(why_not);
    if (why_not.empty()) chosen.push_back(metric);
  }
  return chosen;
}

/// Everything that is collected page by page.
struct Tally {
  ConfusionMatrix confusion;
  PixelError pixel_error;
  Isbi2012 isbi2012;
  SegScore seg;
  ObjectScore objects;
};

Score best_score(const char* name, const BestScore& best) {
  return {.name = name, .value = best.value, .details = {{"threshold", best.threshold}}};
}

void add_scores(std::vector<Score>& scores, Metric metric, const Tally& tally) {
  switch (metric) {
    case Metric::isbi2012: {
      const Isbi2012::Scores best = tally.isbi2012.scores();
      scores.push_back(best_score("warping_error", best.warping_error));
      scores.push_back(best_score("warping_error_classic", best.warping_error_classic));
      scores.push_back(best_score("rand_error", best.rand_error));
      scores.push_back(best_score("pixel_error", best.pixel_error));
      scores.push_back(best_score("v_rand", best.v_rand));
      scores.push_back(best_score("v_info", best.v_info));
      break;
    }
    case Metric::seg:
      scores.push_back({.name = "seg",
                        .value = tally.seg.value(),
                        .details = {{"objects", static_cast<double>(tally.seg.objects())},
                                    {"matched", static_cast<double>(tally.seg.matched())}}});
      break;
    case Metric::objects: {
      const ObjectScore& objects = tally.objects;
      const ObjectScore::Counts half = objects.counts(0);
      scores.push_back({.name = "ap_50",
                        .value = objects.average_precision(0),
                        .comment = "IoU from 0.5, mean over pages",
                        .details = {{"precision", half.precision()}, {"recall", half.recall()}, {"f1", half.f1()}}});
      scores.push_back({"ap_50_95", objects.mean_average_precision(), "mean over IoU from 0.5, 0.55, .., 0.95"});
      scores.push_back({"panoptic_quality", objects.panoptic_quality()});
      scores.push_back({.name = "count_error",
                        .value = objects.count_error(),
                        .details = {{"objects", static_cast<double>(half.truth)},
                                    {"predicted", static_cast<double>(half.predicted)}}});
      break;
    }
    case Metric::iou:
      add_per_class(scores, "iou", tally.confusion, &ConfusionMatrix::iou, tally.confusion.mean_iou());
      break;
    case Metric::dice:
      add_per_class(scores, "dice", tally.confusion, &ConfusionMatrix::dice, tally.confusion.mean_dice());
      break;
    case Metric::pixel: {
      scores.push_back({"pixel_accuracy", tally.confusion.pixel_accuracy()});
      const bool has_error =
          std::any_of(scores.begin(), scores.end(), [](const Score& score) { return score.name == "pixel_error"; });
      const PixelError::Best best = tally.pixel_error.best();
      if (tally.confusion.classes() == 2 && !has_error) {
        scores.push_back(best_score("pixel_error", {best.error, best.threshold}));
      }
      break;
    }
  }
}

}  // namespace

std::string Score::remark() const {
  std::string text = comment;
  for (const auto& [detail, number] : details)
    text += concat(text.empty() ? "" : ", ", detail, " ", number_text(number));
  return text;
}

Evaluation evaluate(const std::vector<PagePair>& pages, const DataConfig& config, const EvaluationOptions& options) {
  std::vector<InputPage> truth_pages;
  for (const PagePair& pair : pages) truth_pages.push_back(pair.label);
  const LabelSurvey survey = survey_labels(truth_pages, config);
  const PredictionKind kind = kind_of(pages, survey, options.predictions);
  check_kind(kind, survey);
  const std::vector<Metric> metrics = chosen_metrics(options.metrics, survey, kind);
  const auto is_chosen = [&](Metric metric) {
    return std::find(metrics.begin(), metrics.end(), metric) != metrics.end();
  };

  Tally tally{.confusion = ConfusionMatrix(survey.classes()),
              .pixel_error = {},
              .isbi2012 = {},
              .seg = SegScore(options.margin_px),
              .objects = {}};
  FileReader predictions, truths;
  for (const auto& [predicted, label] : pages) {
    LabelMap truth = read_truth(truths.open(label.file), label, survey);
    const Prediction prediction = read_prediction(predictions.open(predicted.file), predicted, survey, kind);
    if (is_chosen(Metric::seg)) tally.seg.add(*prediction.ids, truth);
    if (is_chosen(Metric::objects)) tally.objects.add(*prediction.ids, truth);
    if (survey.kind == LabelKind::instances) {
      for (int32_t& id : truth.data) id = std::min(id, 1);
    }
    const Image probability = prediction.probability ? *prediction.probability : as_image(prediction.classes);
    if (is_chosen(Metric::isbi2012)) tally.isbi2012.add(probability, truth);
    tally.confusion.add(prediction.classes, truth);
    tally.pixel_error.add(probability, truth);
  }

  std::vector<Score> scores;
  for (const Metric metric : metrics) add_scores(scores, metric, tally);
  return {kind, std::move(scores)};
}

std::string scores_json(const std::vector<Score>& scores, size_t pages) {
  nlohmann::ordered_json values = nlohmann::ordered_json::object(), details;
  for (const Score& score : scores) {
    values[score.name] = score.value;
    for (const auto& [detail, number] : score.details) details[score.name][detail] = number;
  }
  nlohmann::ordered_json json{{"pages", pages}, {"scores", values}};
  if (!details.is_null()) json["details"] = details;
  return json.dump(2) + "\n";
}

}  // namespace unet
