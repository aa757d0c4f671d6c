#include "unet/network.h"

#include "engine/cast.h"
#include "engine/conv2d.h"
#include "engine/conv_transpose2d.h"
#include "engine/dropout.h"
#include "engine/initializer.h"
#include "engine/max_pool2d.h"
#include "unet/random.h"
#include "unet/tile.h"

namespace unet {

using engine::Shape;
using engine::Tensor;

Network::Network(std::shared_ptr<engine::Device> device, const NetworkConfig& config, uint64_t seed, DType dtype)
    : device_(std::move(device)), config_(config), seed_(seed), dtype_(dtype) {
  config_.validate();
  const auto channels = [&](int64_t level) { return config_.width << level; };
  const auto label = [](const char* part, int64_t level) { return concat(part, ".", level); };

  int64_t inputs = config_.in_channels;
  for (int64_t level = 0; level < config_.depth; ++level) {
    encoder_.push_back(make_level(label("encoder", level), channels(level), inputs));
    inputs = channels(level);
  }
  bottom_ = make_level("bottom", channels(config_.depth), inputs);

  up_.resize(static_cast<size_t>(config_.depth));
  decoder_.resize(static_cast<size_t>(config_.depth));
  inputs = channels(config_.depth);
  for (int64_t level = config_.depth - 1; level >= 0; --level) {
    const auto l = static_cast<size_t>(level);
    const int64_t outputs = level == 0 && config_.last_up_channels > 0 ? config_.last_up_channels : channels(level);
    double fan_in = static_cast<double>(inputs);
    if (config_.upconv_fan == UpconvFan::release) fan_in = 4.0 * static_cast<double>(outputs);
    if (config_.upconv_fan == UpconvFan::conv2x2) fan_in = 4.0 * static_cast<double>(inputs);
    up_[l] = make(label("decoder", level) + ".up", outputs, 2, inputs, fan_in);
    decoder_[l] = make_level(label("decoder", level), channels(level), outputs + channels(level));
    inputs = channels(level);
  }
  head_ = make("head", config_.classes, 1, inputs, static_cast<double>(inputs));
}

Network::Convolution Network::make(const std::string& name, int64_t outputs, int64_t side, int64_t inputs,
                                   double fan_in) {
  Convolution c{name, Tensor::empty(device_, Shape{outputs, side, side, inputs}, dtype_),
                Tensor::zeros(device_, Shape{outputs}, dtype_)};
  // One stream a layer, numbered from input to output.
  const auto layer = static_cast<uint32_t>(in_order_.size());
  engine::he_normal(c.weight, fan_in,
                    {.seed = seed_, .purpose = static_cast<uint32_t>(Purpose::initial_weights), .step = layer});
  c.weight.set_requires_grad();
  c.bias.set_requires_grad();
  in_order_.push_back(c);
  return c;
}

Network::Level Network::make_level(const std::string& name, int64_t outputs, int64_t inputs) {
  Level level;
  level.conv1 = make(name + ".conv1", outputs, 3, inputs, static_cast<double>(9 * inputs));
  level.conv2 = make(name + ".conv2", outputs, 3, outputs, static_cast<double>(9 * outputs));
  return level;
}

engine::ParameterList Network::parameters(double bias_lr_factor) const {
  engine::ParameterList list;
  for (const Convolution& c : in_order_) {
    list.push_back({c.name + ".weight", c.weight});
    list.push_back({c.name + ".bias", c.bias, bias_lr_factor, 0});
  }
  return list;
}

Tensor Network::forward(const Tensor& x, DType precision, const kernels::PhiloxKey* dropout_key,
                        const Tensor& dropout_step) const {
  if (x.shape().c() != config_.in_channels) {
    throw ShapeError(concat("network: expected images of ", config_.in_channels, " channels, got ", x.shape().text()));
  }
  const TileRule rule(static_cast<int>(config_.depth));
  rule.output(x.shape().h());
  rule.output(x.shape().w());

  // Operands go by value, so that they are freed as soon as the first convolution is done with them.
  const auto two_convolutions = [](const Level& level, Tensor input, Tensor skip, Tensor* pooled = nullptr) {
    Tensor h = engine::conv2d(input, level.conv1.weight, level.conv1.bias, {.x2 = skip, .relu = true});
    input = {}, skip = {};
    return engine::conv2d(h, level.conv2.weight, level.conv2.bias, {.relu = true, .pooled = pooled});
  };
  // The two deepest levels drop features, before the pooling and the skip connection (the authors' release).
  uint32_t dropped = 0;
  const auto drop = [&](const Tensor& h) {
    if (dropout_key == nullptr) return h;
    kernels::PhiloxKey key = *dropout_key;
    key.purpose += dropped++;
    return engine::dropout(h, config_.dropout, key, dropout_step);
  };

  std::vector<Tensor> skips(encoder_.size());
  Tensor h = engine::cast(x, precision);
  for (size_t level = 0; level < encoder_.size(); ++level) {
    const bool drops = dropout_key != nullptr && level + 1 == encoder_.size();
    Tensor pooled;
    skips[level] = two_convolutions(encoder_[level], std::move(h), {}, drops ? nullptr : &pooled);
    if (drops) {
      skips[level] = drop(skips[level]);
      pooled = engine::max_pool2d(skips[level]);
    }
    h = pooled;
  }
  h = drop(two_convolutions(bottom_, std::move(h), {}));
  for (size_t level = encoder_.size(); level-- > 0;) {
    h = engine::conv_transpose2d(h, up_[level].weight, up_[level].bias, config_.up_relu);
    h = two_convolutions(decoder_[level], std::move(h), std::move(skips[level]));
  }
  return engine::conv2d(h, head_.weight, head_.bias, {.wide_output = true});
}

}  // namespace unet
