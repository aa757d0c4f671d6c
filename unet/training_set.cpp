#include "unet/training_set.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "unet/components.h"
#include "unet/page_list.h"
#include "unet/rescaling.h"
#include "unet/scaling.h"
#include "unet/separation.h"
#include "unet/weight_map.h"

namespace unet {
namespace {

/// "stack.tif, page 3": without folders, which reports need not tell.
std::string page_name(const InputPage& page) {
  const std::string file = page.file.filename().string();
  return page.file_pages > 1 ? concat(file, ", page ", page.page) : file;
}

/// Pixels of background nearer than `margin` px to a side become pixels without truth.
void ignore_background_near_sides(LabelMap& ids, int64_t margin) {
  const auto is_near = [margin](int64_t i, int64_t length) { return i < margin || i >= length - margin; };
  for (int64_t y = 0; y < ids.height; ++y) {
    for (int64_t x = 0; x < ids.width; ++x) {
      if (ids.at(y, x) == 0 && (is_near(y, ids.height) || is_near(x, ids.width))) ids.at(y, x) = -1;
    }
  }
}

/// Reads pages in order, opening each file once.
class PairReader {
 public:
  PairReader(const LabelSurvey& labels, const DataConfig& config) : labels_(labels), config_(config) {}

  TrainingPage read(const PagePair& pair) {
    if (!image_ || image_->path() != pair.image.file) {
      image_.emplace(pair.image.file);
      scalings_ = pixel_scalings(config_.normalisation, *image_);
    }
    if (!label_ || label_->path() != pair.label.file) label_.emplace(pair.label.file);

    const PixelScaling& scaling = scalings_[static_cast<size_t>(pair.image.page)];
    const Size scaled = rescaled_size({pair.image.info.height, pair.image.info.width}, config_.scale, config_.scale);
    TrainingPage page{.name = page_name(pair.image),
                      .image = rescaled(image_->read(pair.image.page), scaled),
                      .centre = scaling.centre};
    scaling.to_unit(page.image);
    LabelMap values = read_label_values(*label_, pair.label.page);
    labels_.translate(values);
    if (labels_.kind == LabelKind::instances) ignore_background_near_sides(values, config_.margin);
    values = rescaled(values, scaled);
    if (labels_.kind == LabelKind::instances) {
      page.classes = values;
      for (int32_t& v : page.classes.data) v = std::min(v, 1);
      page.instances = std::move(values);
    } else {
      page.instances = connected_components(values, static_cast<Connectivity>(config_.connectivity)).ids;
      for (size_t i = 0; i < values.data.size(); ++i) {
        if (values.data[i] < 0) page.instances.data[i] = -1;
      }
      page.classes = std::move(values);
    }
    return page;
  }

 private:
  const LabelSurvey& labels_;
  const DataConfig& config_;
  std::optional<ImageReader> image_, label_;
  std::vector<PixelScaling> scalings_;  // of image_
};

using Pairs = std::vector<NumberedPair>;

Pairs numbered_pairs(const std::string& images, const std::string& labels) {
  Pairs pairs;
  for (PagePair& pair : pair_pages(list_pages(images), list_pages(labels))) {
    pairs.push_back({std::move(pair), std::ssize(pairs)});
  }
  return pairs;
}

std::vector<InputPage> label_pages(const Pairs& training, const Pairs& validation) {
  std::vector<InputPage> pages;
  for (const auto* pairs : {&training, &validation}) {
    for (const PagePair& pair : *pairs) pages.push_back(pair.label);
  }
  return pages;
}

/// Takes the last pages for validation; at least one stays for training.
Pairs split_off(Pairs& pairs, double fraction) {
  const auto count = static_cast<double>(pairs.size());
  const auto wanted = std::min(std::ceil(fraction * count - 1e-9), count - 1);
  const auto first = pairs.end() - static_cast<ptrdiff_t>(wanted);
  Pairs taken(first, pairs.end());
  pairs.erase(first, pairs.end());
  return taken;
}

/// Takes the pages of this list for validation.
Pairs take_pages(Pairs& pairs, const std::string& list) {
  const std::vector<int64_t> chosen = parse_page_list("data.validation_pages", list, std::ssize(pairs));
  if (chosen.size() == pairs.size()) {
    throw ConfigError(concat("data.validation_pages: expected some of the ", pairs.size(), " pages, got all (", list,
                             "), which leaves none to train on"));
  }
  const auto first = std::stable_partition(pairs.begin(), pairs.end(), [&](const NumberedPair& pair) {
    return !std::binary_search(chosen.begin(), chosen.end(), pair.number);
  });
  Pairs taken(first, pairs.end());
  pairs.erase(first, pairs.end());
  return taken;
}

}  // namespace

TrainingData load_training_data(const TrainingInputs& inputs, const TrainingConfig& config) {
  TrainingData data{.config = config};
  data.training_pairs = numbered_pairs(inputs.images, inputs.labels);
  if (!inputs.validation_images.empty()) {
    if (!config.data.validation_pages.empty()) {
      throw ConfigError(concat("data.validation_pages: expected none beside separate validation images, got ",
                               config.data.validation_pages, "; give one of the two"));
    }
    data.validation_pairs = numbered_pairs(inputs.validation_images, inputs.validation_labels);
  } else if (!config.data.validation_pages.empty()) {
    data.validation_pairs = take_pages(data.training_pairs, config.data.validation_pages);
  } else {
    data.validation_pairs = split_off(data.training_pairs, config.data.validation_fraction);
  }
  const PageInfo& first = data.training_pairs.front().image.info;
  for (const auto* pairs : {&data.training_pairs, &data.validation_pairs}) {
    for (const PagePair& pair : *pairs) {
      if (pair.image.info.channels != first.channels) {
        throw DataError(concat(pair.image.name(), ": ", pair.image.info.channels, " channels, but ",
                               data.training_pairs.front().image.name(), " has ", first.channels,
                               "; train on images of one kind"));
      }
    }
  }

  data.labels = survey_labels(label_pages(data.training_pairs, data.validation_pairs), config.data);
  NetworkConfig& network = data.config.network;
  const auto resolve = [](const char* key, int64_t& value, int64_t found) {
    if (value != 0 && value != found) {
      throw ConfigError(concat("network.", key, ": expected ", found, " as in the data, got ", value));
    }
    value = found;
  };
  resolve("in_channels", network.in_channels, first.channels);
  resolve("classes", network.classes, data.labels.classes());
  data.config.data.labels = data.labels.kind;
  if (config.data.margin > 0 && data.labels.kind != LabelKind::instances) {
    throw ConfigError(concat("data.margin: expected 0, for the labels are classes, got ", config.data.margin,
                             "; it goes with instances"));
  }
  data.config.validate();

  PairReader reader(data.labels, data.config.data);
  for (const PagePair& pair : data.training_pairs) data.set.training.push_back(reader.read(pair));
  for (const PagePair& pair : data.validation_pairs) data.set.validation.push_back(reader.read(pair));
  prepare_weights(data.set, network.classes, data.config);

  data.info = {.network = network,
               .normalisation = data.config.data.normalisation,
               .labels = data.labels.kind,
               .class_values = {data.labels.class_values.begin(), data.labels.class_values.end()},
               .tile = data.config.tile.input,
               .pixel_size = ImageReader(data.training_pairs.front().image.file).metadata().pixel_size,
               .scale = data.config.data.scale};
  return data;
}

void prepare_weights(TrainingSet& set, int64_t classes, const TrainingConfig& config) {
  ClassFrequencies frequencies(classes);
  for (std::vector<TrainingPage>* pages : {&set.training, &set.validation}) {
    for (TrainingPage& page : *pages) {
      page.classes = separate_instances(page.instances, page.classes, config.weight_map.border);
      if (pages == &set.training) frequencies.add(page.classes);
    }
  }
  set.class_weights = frequencies.weights(config.weight_map.class_balance);
  for (std::vector<TrainingPage>* pages : {&set.training, &set.validation}) {
    for (TrainingPage& page : *pages) {
      page.weights = weight_map(page.instances, page.classes, set.class_weights, config.weight_map);
    }
  }
}

}  // namespace unet
