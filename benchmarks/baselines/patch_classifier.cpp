#include "benchmarks/baselines/patch_classifier.h"

#include <algorithm>
#include <map>

#include "engine/cast.h"
#include "engine/conv2d.h"
#include "engine/device.h"
#include "engine/softmax.h"

namespace unet::baselines {

using engine::Shape;
using engine::Tensor;

namespace {

/// Appends the side x side window of an image at (y, x), inside of it.
void append_window(const Image& image, int64_t y, int64_t x, int64_t side, std::vector<float>& to) {
  for (int64_t row = y; row < y + side; ++row) {
    const float* const first = &image.at(row, x);
    to.insert(to.end(), first, first + side * image.channels);
  }
}

}  // namespace

int64_t PatchClassifierConfig::side() const {
  int64_t px = last_side;
  for (auto filter = filters.rbegin(); filter != filters.rend(); ++filter) px = 2 * px + *filter - 1;
  return px;
}

void PatchClassifierConfig::validate() const {
  const auto check = [](const char* name, int64_t value) {
    if (value < 1) throw ConfigError(concat("patch classifier: ", name, ": expected at least 1, got ", value));
  };
  check("in_channels", in_channels);
  check("classes", classes);
  check("maps", maps);
  check("hidden", hidden);
  check("last_side", last_side);
  for (const int64_t filter : filters) check("filters", filter);
  if (side() % 2 == 0) {
    throw ConfigError(concat("patch classifier: expected patches with a middle pixel, got ", side(),
                             " px; change last_side or the first filter by 1"));
  }
}

PatchClassifier::PatchClassifier(std::shared_ptr<engine::Device> device, const PatchClassifierConfig& config,
                                 uint64_t seed, DType dtype)
    : config_(config), layers_(std::move(device), seed, dtype) {
  config_.validate();
  int64_t inputs = config_.in_channels;
  for (size_t i = 0; i < config_.filters.size(); ++i) {
    convolutions_.push_back(layers_.make(concat("conv.", i), config_.maps, config_.filters[i], inputs));
    inputs = config_.maps;
  }
  hidden_ = layers_.make("hidden", config_.hidden, config_.last_side, inputs);
  scores_ = layers_.make("scores", config_.classes, 1, config_.hidden);
}

Tensor PatchClassifier::forward(const Tensor& patches) const {
  const Shape& shape = patches.shape();
  if (shape.h() != config_.side() || shape.w() != config_.side() || shape.c() != config_.in_channels) {
    throw ShapeError(concat("patch classifier: expected patches of ", config_.side(), " x ", config_.side(), " px and ",
                            config_.in_channels, " channels, got ", shape.text()));
  }
  Tensor h = engine::cast(patches, patches.dtype());
  for (const Layer& layer : convolutions_) {
    Tensor pooled;
    engine::conv2d(h, layer.weight, layer.bias, {.relu = true, .pooled = &pooled});
    h = pooled;
  }
  h = engine::conv2d(h, hidden_.weight, hidden_.bias, {.relu = true});  // as large as its input: fully connected
  return engine::conv2d(h, scores_.weight, scores_.bias);
}

PatchBatch draw_patches(const Sample& sample, int64_t side, int64_t count, RandomStream& random) {
  const Image& image = sample.image;
  const LabelMap& labels = sample.labels;
  // Labels belong to the middle of the image. (top, left) is the corner of the patch around label (0, 0).
  const int64_t top = (image.height - labels.height) / 2 - side / 2, left = (image.width - labels.width) / 2 - side / 2;
  std::map<int32_t, std::vector<int64_t>> pixels;  // of each class: y * width + x
  for (int64_t y = std::max<int64_t>(0, -top); y < labels.height && top + y + side <= image.height; ++y) {
    for (int64_t x = std::max<int64_t>(0, -left); x < labels.width && left + x + side <= image.width; ++x) {
      if (labels.at(y, x) >= 0) pixels[labels.at(y, x)].push_back(y * labels.width + x);
    }
  }
  if (pixels.empty()) {
    throw DataError(concat("draw_patches: expected labelled pixels with ", side / 2, " px of image around them, got ",
                           "none in a tile of ", image.width, " x ", image.height,
                           " px; take larger tiles or smaller patches"));
  }
  PatchBatch batch;
  auto next = pixels.begin();
  for (int64_t i = 0; i < count; ++i) {
    const auto& [label, of_class] = *next;
    const int64_t pixel = of_class[static_cast<size_t>(random.below(std::ssize(of_class)))];
    append_window(image, top + pixel / labels.width, left + pixel % labels.width, side, batch.patches);
    batch.labels.push_back(label);
    if (++next == pixels.end()) next = pixels.begin();
  }
  return batch;
}

Image segment_by_patches(const PatchClassifier& classifier, const Image& image, const Rect& part, int64_t batch) {
  if (batch < 1) throw ConfigError(concat("segment_by_patches: expected a batch of at least 1 patch, got ", batch));
  const engine::NoGrad no_grad(*classifier.device());
  const int64_t side = classifier.config().side(), margin = side / 2;
  const Image around =
      extract_tile(image, {part.y - margin, part.x - margin, part.height + 2 * margin, part.width + 2 * margin});
  Image out(part.height, part.width, classifier.config().classes);
  auto to = out.data.begin();
  std::vector<float> patches;
  for (int64_t first = 0; first < out.pixels(); first += batch) {
    const int64_t count = std::min(batch, out.pixels() - first);
    patches.clear();
    for (int64_t i = first; i < first + count; ++i)
      append_window(around, i / part.width, i % part.width, side, patches);
    const Tensor x = Tensor::from(classifier.device(), Shape{count, side, side, image.channels}, patches);
    const std::vector<float> p = engine::softmax(classifier.forward(x)).to_vector();
    to = std::copy(p.begin(), p.end(), to);
  }
  return out;
}

}  // namespace unet::baselines
