#include "unet/training_set.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "unet/components.h"
#include "unet/markers.h"
#include "unet/page_list.h"
#include "unet/readable.h"
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

/// Finds the page of markers of every pair.
void add_markers(Pairs& pairs, const std::string& markers) {
  std::vector<InputPage> images;
  for (const NumberedPair& pair : pairs) images.push_back(pair.image);
  const SideNames sides{
      .images = "markers", .labels = "images", .advice = "every image that is trained or validated on needs markers"};
  std::map<std::pair<std::filesystem::path, int64_t>, InputPage> found;
  for (PagePair& pair : pair_pages(list_pages(markers), images, Unlabelled::left_out, sides)) {
    found[{pair.label.file, pair.label.page}] = std::move(pair.image);
  }
  for (NumberedPair& pair : pairs) pair.markers = found.at({pair.image.file, pair.image.page});
}

/// Pairs of all labelled images; counts the others.
Pairs numbered_pairs(const std::string& images, const std::string& labels, const std::string& markers,
                     const DataConfig& config, int64_t& left_out) {
  const std::vector<InputPage> pages = list_pages(images);
  Pairs pairs;
  for (PagePair& pair :
       pair_pages(pages, list_pages(labels), config.labelled_only ? Unlabelled::left_out : Unlabelled::refused,
                  {.advice = "complete the pairs, leave files out with a glob, or train on labelled images only "
                             "(data.labelled_only, --labelled-only)"})) {
    pairs.push_back({std::move(pair), std::ssize(pairs)});
  }
  left_out += std::ssize(pages) - std::ssize(pairs);
  if (!markers.empty()) add_markers(pairs, markers);
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

/// Markers in a page's size. None gets lost where pages are reduced, however small it is.
LabelMap read_markers(const InputPage& page, Size size) {
  ImageReader reader(page.file);
  const LabelMap markers = read_label_values(reader, page.page);
  LabelMap scaled = rescaled(markers, size);
  for (int64_t y = 0; y < markers.height; ++y) {
    for (int64_t x = 0; x < markers.width; ++x) {
      int32_t& at = scaled.at(y * size.height / markers.height, x * size.width / markers.width);
      if (at == 0) at = markers.at(y, x);
    }
  }
  return scaled;
}

/// The radius within which every labelled training object lies around its marks.
double covering_radius(const std::vector<MarkedPage>& training) {
  double radius = -1;
  for (const MarkedPage& page : training) {
    for (const double reach : page.reaches_px) radius = std::max(radius, reach);
  }
  if (radius < 0) {
    throw ConfigError(
        "data.marker_radius: expected a radius in px, got -1, and no labelled training object has a mark that shows "
        "how far objects reach; give a cell's radius");
  }
  return radius;
}

/// Ignores what lies around the marks of objects without a label, on all pages that have markers.
MarkerSurvey ignore_unlabelled_objects(TrainingData& data) {
  std::vector<MarkedPage> marked[2];
  MarkerSurvey survey;
  for (const bool validation : {false, true}) {
    const Pairs& pairs = validation ? data.validation_pairs : data.training_pairs;
    std::vector<TrainingPage>& pages = validation ? data.set.validation : data.set.training;
    for (size_t i = 0; i < pages.size(); ++i) {
      const Size size{pages[i].instances.height, pages[i].instances.width};
      MarkedPage page{.unlabelled = LabelMap(size.height, size.width)};
      if (pairs[i].markers) page = compare_markers(read_markers(*pairs[i].markers, size), pages[i].instances);
      survey.objects += page.objects;
      survey.unlabelled_objects += page.unlabelled_objects;
      survey.pixels += pages[i].instances.pixels();
      marked[validation].push_back(std::move(page));
    }
  }
  double& radius = data.config.data.marker_radius;  // px of the files
  const double scale = data.config.data.scale;
  if (radius < 0 && survey.unlabelled_objects > 0) radius = covering_radius(marked[false]) / scale;
  survey.radius_px = radius;
  for (const bool validation : {false, true}) {
    std::vector<TrainingPage>& pages = validation ? data.set.validation : data.set.training;
    for (size_t i = 0; i < pages.size(); ++i) {
      survey.ignored += ignore_unlabelled(marked[validation][i], radius * scale, pages[i].instances, pages[i].classes);
    }
  }
  return survey;
}

}  // namespace

std::string MarkerSurvey::describe() const {
  if (unlabelled_objects == 0) return concat("markers: all ", objects, " marked objects have labels");
  return concat("markers: ", unlabelled_objects, " of ", objects, " marked objects have no label; within ",
                number_text(radius_px), " px of their markers ",
                number_text(100 * static_cast<double>(ignored) / static_cast<double>(pixels), 3),
                " % of all pixels are ignored");
}

TrainingData load_training_data(const TrainingInputs& inputs, const TrainingConfig& config) {
  TrainingData data{.config = config};
  data.training_pairs = numbered_pairs(inputs.images, inputs.labels, inputs.markers, config.data, data.left_out);
  if (!inputs.validation_images.empty()) {
    if (!config.data.validation_pages.empty()) {
      throw ConfigError(concat("data.validation_pages: expected none beside separate validation images, got ",
                               config.data.validation_pages, "; give one of the two"));
    }
    data.validation_pairs = numbered_pairs(inputs.validation_images, inputs.validation_labels,
                                           inputs.validation_markers, config.data, data.left_out);
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
  if (!inputs.markers.empty() || !inputs.validation_markers.empty()) data.markers = ignore_unlabelled_objects(data);
  prepare_weights(data.set, network.classes, data.config);

  data.info = {.network = network,
               .normalisation = data.config.data.normalisation,
               .labels = data.labels.kind,
               .class_values = {data.labels.class_values.begin(), data.labels.class_values.end()},
               .tile = data.config.tile.input,
               .pixel_size = ImageReader(data.training_pairs.front().image.file).metadata().pixel_size,
               .scale = data.config.data.scale,
               .threshold = data.config.instances.threshold,
               .instances = {.connectivity = static_cast<Connectivity>(data.config.data.connectivity),
                             .fill_holes = data.config.instances.fill_holes,
                             .min_area_px = data.config.instances.min_area,
                             .split = data.config.instances.split,
                             .regrow = data.config.instances.regrow}};
  return data;
}

namespace {

/// Sums of label_density() over all rows above each, and over all.
std::vector<int64_t> row_density(const LabelMap& classes) {
  std::vector<int64_t> sums{0};
  for (int64_t y = 0; y < classes.height; ++y) {
    int64_t sum = sums.back();
    for (int64_t x = 0; x < classes.width; ++x) sum += label_density(classes.at(y, x));
    sums.push_back(sum);
  }
  return sums;
}

}  // namespace

void prepare_weights(TrainingSet& set, int64_t classes, const TrainingConfig& config) {
  ClassFrequencies frequencies(classes);
  for (std::vector<TrainingPage>* pages : {&set.training, &set.validation}) {
    for (TrainingPage& page : *pages) {
      if (config.weight_map.update == WeightMapUpdate::recompute) page.uncarved = page.classes;
      page.classes = separate_instances(page.instances, page.classes, config.weight_map.border);
      if (pages == &set.training) frequencies.add(page.classes);
    }
  }
  set.class_weights = frequencies.weights(config.weight_map.class_balance);
  for (TrainingPage& page : set.training) {
    page.row_density = row_density(page.classes);
    if (config.augmentation.sampling == TileSampling::density && page.row_density.back() == 0) {
      throw DataError(concat("augmentation.sampling: expected pixels with labels on ", page.name,
                             " to draw tiles from by density, got only ignored ones; leave the page out"));
    }
  }
  for (std::vector<TrainingPage>* pages : {&set.training, &set.validation}) {
    for (TrainingPage& page : *pages) {
      page.weights = weight_map(page.instances, page.classes, set.class_weights, config.weight_map);
      page.class_weights = set.class_weights;
    }
  }
}

}  // namespace unet
