#include "benchmarks/baselines/fcn.h"

#include <array>

#include "benchmarks/baselines/crop.h"
#include "engine/add.h"
#include "engine/cast.h"
#include "engine/conv2d.h"
#include "engine/conv_transpose2d.h"
#include "engine/dropout.h"
#include "unet/tile.h"

namespace unet::baselines {
namespace {

using engine::Tensor;

/// Weights [K,side,side,K] that filter every channel alone with the outer product of `taps` [side] with itself.
template <size_t side>
void filter_channels(const Tensor& weight, const std::array<float, side>& taps) {
  const int64_t channels = weight.shape().n();
  std::vector<float> values;
  for (int64_t k = 0; k < channels; ++k) {
    for (const float row : taps) {
      for (const float column : taps) {
        for (int64_t c = 0; c < channels; ++c) values.push_back(c == k ? row * column : 0.0F);
      }
    }
  }
  weight.assign(values);
}

}  // namespace

Fcn::Fcn(std::shared_ptr<engine::Device> device, const NetworkConfig& config, uint64_t seed, DType dtype)
    : config_(config), layers_(std::move(device), seed, dtype) {
  config_.validate();
  int64_t inputs = config_.in_channels;
  for (int64_t level = 0; level < config_.depth; ++level) {
    encoder_.push_back(make_level(concat("encoder.", level), config_.width << level, inputs));
    inputs = config_.width << level;
  }
  bottom_ = make_level("bottom", config_.width << config_.depth, inputs);
  for (int64_t level = 0; level < config_.depth; ++level) {
    // A pooling has the channels of the level above it.
    const int64_t features = config_.width << (level + 1 == config_.depth ? config_.depth : level);
    score_.push_back(layers_.make(concat("score.", level), config_.classes, 1, features));
    enlarge_.push_back(make_enlargement(concat("enlarge.", level)));
  }
}

Fcn::Level Fcn::make_level(const std::string& name, int64_t outputs, int64_t inputs) {
  return {.conv1 = layers_.make(name + ".conv1", outputs, 3, inputs),
          .conv2 = layers_.make(name + ".conv2", outputs, 3, outputs)};
}

Fcn::Enlargement Fcn::make_enlargement(const std::string& name) {
  Enlargement e{.up = layers_.make(name + ".up", config_.classes, 2, config_.classes),
                .smooth = layers_.make(name + ".smooth", config_.classes, 3, config_.classes)};
  // (1 1) convolved with (1 2 1) / 4 is (1 3 3 1) / 4, bilinear interpolation between pixels twice as far apart.
  filter_channels<2>(e.up.weight, {1, 1});
  filter_channels<3>(e.smooth.weight, {0.25F, 0.5F, 0.25F});
  return e;
}

Tensor Fcn::forward(const Tensor& x, const kernels::PhiloxKey* dropout_key) const {
  const TileRule rule(static_cast<int>(config_.depth));
  const int64_t out_h = rule.output(x.shape().h()), out_w = rule.output(x.shape().w());
  uint32_t dropped = 0;
  const auto drop = [&](const Tensor& h) {
    if (dropout_key == nullptr) return h;
    kernels::PhiloxKey key = *dropout_key;
    key.purpose += dropped++;
    return engine::dropout(h, config_.dropout, key);
  };
  const auto convolve = [](const Tensor& input, const Layer& layer, Tensor* pooled = nullptr) {
    return engine::conv2d(input, layer.weight, layer.bias, {.relu = true, .pooled = pooled});
  };
  const auto plain = [](const Tensor& input, const Layer& layer) {
    return engine::conv2d(input, layer.weight, layer.bias);
  };

  std::vector<Tensor> pooled(encoder_.size());  // of stride 2, 4, ... 2^depth
  Tensor h = engine::cast(x, x.dtype());
  for (size_t level = 0; level < encoder_.size(); ++level) {
    convolve(convolve(h, encoder_[level].conv1), encoder_[level].conv2, &pooled[level]);
    h = pooled[level];
  }
  h = drop(convolve(drop(convolve(h, bottom_.conv1)), bottom_.conv2));

  Tensor scores = plain(h, score_.back());
  for (size_t level = encoder_.size(); level-- > 0;) {
    const Enlargement& enlarge = enlarge_[level];
    scores = plain(engine::conv_transpose2d(scores, enlarge.up.weight, enlarge.up.bias), enlarge.smooth);
    if (level == 0) break;
    const Tensor skip = plain(pooled[level - 1], score_[level - 1]);
    scores = engine::add(scores, centre_crop(skip, scores.shape().h(), scores.shape().w()));
  }
  return centre_crop(scores, out_h, out_w);
}

}  // namespace unet::baselines
