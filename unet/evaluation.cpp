#include "unet/evaluation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "unet/labels.h"
#include "unet/metrics.h"
#include "unet/readable.h"

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
  std::optional<Image> probability;  // [H,W,1], of the last of two classes
};

/// Values in [0,1] that a threshold of one half turns into classes.
Prediction from_probability(Image probability) {
  Prediction prediction{.classes = LabelMap(probability.height, probability.width), .probability = std::nullopt};
  std::transform(probability.data.begin(), probability.data.end(), prediction.classes.data.begin(),
                 [](float p) { return p >= 0.5F ? 1 : 0; });
  prediction.probability = std::move(probability);
  return prediction;
}

Prediction read_prediction(ImageReader& reader, const InputPage& page, const LabelSurvey& truth) {
  if (page.info.channels != 1) {
    throw DataError(concat("evaluate: ", page.name(), ": expected one channel, got ", page.info.channels));
  }
  const SampleType type = page.info.type;
  if (!type.is_integer()) {
    if (truth.classes() != 2) {
      throw DataError(concat("evaluate: ", page.name(), " holds probabilities, but the truth has ", truth.classes(),
                             " classes; write them with --write classes"));
    }
    return from_probability(reader.read(page.page));
  }

  LabelMap values = reader.read_labels(page.page);
  if (truth.kind == LabelKind::instances) {
    for (int32_t& value : values.data) value = value > 0 ? 1 : 0;
    return {.classes = std::move(values), .probability = std::nullopt};
  }
  const auto is_class = [&](int32_t value) {
    return std::binary_search(truth.class_values.begin(), truth.class_values.end(), value);
  };
  if (std::all_of(values.data.begin(), values.data.end(), is_class)) {
    for (int32_t& value : values.data) {
      const auto found = std::lower_bound(truth.class_values.begin(), truth.class_values.end(), value);
      value = static_cast<int32_t>(found - truth.class_values.begin());
    }
    return {.classes = std::move(values), .probability = std::nullopt};
  }
  if (truth.classes() != 2 || type.kind != SampleKind::unsigned_integer || type.bits > 16) {
    throw DataError(concat("evaluate: ", page.name(), ": expected the truth's class values, got others"));
  }
  Image probability(values.height, values.width);
  const auto largest = static_cast<float>((1 << type.bits) - 1);
  std::transform(values.data.begin(), values.data.end(), probability.data.begin(),
                 [largest](int32_t value) { return static_cast<float>(value) / largest; });
  return from_probability(std::move(probability));
}

/// Classes of the true page: -1 where ignored.
LabelMap read_truth(ImageReader& reader, const InputPage& page, const LabelSurvey& survey) {
  LabelMap classes = read_label_values(reader, page.page);
  survey.translate(classes);
  if (survey.kind == LabelKind::instances) {
    for (int32_t& value : classes.data) value = std::min(value, 1);
  }
  return classes;
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

}  // namespace

std::vector<Score> evaluate(const std::vector<PagePair>& pages, const DataConfig& config,
                            const std::vector<Metric>& metrics) {
  std::vector<InputPage> truth_pages;
  for (const PagePair& pair : pages) truth_pages.push_back(pair.label);
  const LabelSurvey survey = survey_labels(truth_pages, config);

  ConfusionMatrix confusion(survey.classes());
  PixelError pixel_error;
  FileReader predictions, truths;
  for (const auto& [predicted, truth] : pages) {
    const LabelMap classes = read_truth(truths.open(truth.file), truth, survey);
    const Prediction prediction = read_prediction(predictions.open(predicted.file), predicted, survey);
    confusion.add(prediction.classes, classes);
    pixel_error.add(prediction.probability ? *prediction.probability : as_image(prediction.classes), classes);
  }

  std::vector<Score> scores;
  for (const Metric metric : metrics) {
    switch (metric) {
      case Metric::iou:
        add_per_class(scores, "iou", confusion, &ConfusionMatrix::iou, confusion.mean_iou());
        break;
      case Metric::dice:
        add_per_class(scores, "dice", confusion, &ConfusionMatrix::dice, confusion.mean_dice());
        break;
      case Metric::pixel:
        scores.push_back({"pixel_accuracy", confusion.pixel_accuracy(), ""});
        if (confusion.classes() == 2) {
          const PixelError::Best best = pixel_error.best();
          scores.push_back({"pixel_error", best.error, concat("best threshold ", number_text(best.threshold))});
        }
        break;
    }
  }
  return scores;
}

std::string scores_json(const std::vector<Score>& scores, size_t pages) {
  nlohmann::ordered_json values = nlohmann::ordered_json::object();
  for (const Score& score : scores) values[score.name] = score.value;
  return nlohmann::ordered_json{{"pages", pages}, {"scores", values}}.dump(2) + "\n";
}

}  // namespace unet
