#include "benchmarks/baselines/patch_classifier.h"

#include <algorithm>
#include <map>

#include "benchmarks/baselines/crop.h"
#include "engine/cast.h"
#include "engine/conv2d.h"
#include "engine/device.h"
#include "engine/max_pool2d.h"
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

/// The input side for this many pixels of every fragment.
Size PatchClassifier::fragment_input(Size fragment) const {
  Size size{fragment.height + config_.last_side - 1, fragment.width + config_.last_side - 1};
  for (auto filter = config_.filters.rbegin(); filter != config_.filters.rend(); ++filter) {
    size = {2 * size.height + *filter, 2 * size.width + *filter};  // a pooling's odd fragments begin one pixel later
  }
  return size;
}

void PatchClassifier::segment_fragment(const Tensor& h, size_t level, const Phase& phase, Image& out) const {
  if (level < convolutions_.size()) {
    const Layer& layer = convolutions_[level];
    const Tensor y = engine::conv2d(h, layer.weight, layer.bias, {.relu = true});
    for (const int64_t top : {0, 1}) {
      for (const int64_t left : {0, 1}) {
        const Tensor part = crop(y, top, left, y.shape().h() - 1, y.shape().w() - 1);
        segment_fragment(engine::max_pool2d(part), level + 1,
                         {phase.y + top * phase.stride, phase.x + left * phase.stride, 2 * phase.stride}, out);
      }
    }
    return;
  }
  const Tensor hidden = engine::conv2d(h, hidden_.weight, hidden_.bias, {.relu = true});
  const Tensor p = engine::softmax(engine::conv2d(hidden, scores_.weight, scores_.bias));
  const std::vector<float> values = p.to_vector();
  auto from = values.begin();
  for (int64_t y = phase.y; y < phase.y + p.shape().h() * phase.stride; y += phase.stride) {
    for (int64_t x = phase.x; x < phase.x + p.shape().w() * phase.stride; x += phase.stride) {
      if (y < out.height && x < out.width) std::copy_n(from, out.channels, &out.at(y, x));
      from += out.channels;
    }
  }
}

Image PatchClassifier::segment(const Image& image, const Rect& part) const {
  const engine::NoGrad no_grad(*device());
  const int64_t stride = int64_t{1} << convolutions_.size(), margin = config_.side() / 2;
  const Size input = fragment_input({ceil_div(part.height, stride), ceil_div(part.width, stride)});
  const Image around = extract_tile(image, {part.y - margin, part.x - margin, input.height, input.width});
  Image out(part.height, part.width, config_.classes);
  const Tensor x = Tensor::from(device(), Shape{1, input.height, input.width, around.channels}, around.data);
  segment_fragment(engine::cast(x, x.dtype()), 0, {}, out);
  return out;
}

double PatchClassifier::multiply_adds(const Rect& part) const {
  const int64_t stride = int64_t{1} << convolutions_.size();
  const Size fragment{ceil_div(part.height, stride), ceil_div(part.width, stride)};
  Size size = fragment_input(fragment);
  double sum = 0, fragments = 1;
  const auto add = [&](const Layer& layer) {
    const Shape& w = layer.weight.shape();
    size = {size.height - w.h() + 1, size.width - w.w() + 1};
    sum += fragments * static_cast<double>(size.pixels() * w.elements());
  };
  for (const Layer& layer : convolutions_) {
    add(layer);
    size = {(size.height - 1) / 2, (size.width - 1) / 2};
    fragments *= 4;
  }
  add(hidden_);
  add(scores_);
  return sum;
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
