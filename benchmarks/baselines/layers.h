// What the two older networks are made of.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/parameter.h"

namespace unet::baselines {

/// A convolution's parameters.
struct Layer {
  std::string name;
  engine::Tensor weight;  // [K,R,S,C]
  engine::Tensor bias;    // [K]
};

/// The layers of a network in the order of their making. Each has random numbers of its own.
class LayerList {
 public:
  /// `dtype` of the parameters: f32, or f64 on the reference target.
  LayerList(std::shared_ptr<engine::Device> device, uint64_t seed, DType dtype)
      : device_(std::move(device)), seed_(seed), dtype_(dtype) {}

  /// Weights [outputs,side,side,inputs] drawn from N(0, 2 / (side^2 inputs)), biases zero.
  Layer make(const std::string& name, int64_t outputs, int64_t side, int64_t inputs);

  /// Name.weight and name.bias of every layer; biases train at `bias_lr_factor` times the rate and do not decay.
  engine::ParameterList parameters(double bias_lr_factor) const;
  const std::shared_ptr<engine::Device>& device() const { return device_; }

 private:
  std::shared_ptr<engine::Device> device_;
  uint64_t seed_;
  DType dtype_;
  std::vector<Layer> layers_;
};

/// Multiply-adds of all convolutions and up-convolutions that y was computed by, counted as the plain sums that define
/// them. y was recorded, and backward() has not been called.
int64_t count_multiply_adds(const engine::Tensor& y);

}  // namespace unet::baselines
