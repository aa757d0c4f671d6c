// The U-Net as a graph of the engine's operations.
#pragma once

#include <memory>

#include "engine/parameter.h"
#include "kernels/philox.h"
#include "unet/network_config.h"

namespace unet {

/// U-Net of Ronneberger et al. 2015, Figure 1: unpadded 3x3 convolutions with ReLU, 2x2 max pooling, 2x2
/// up-convolutions, cropped skip connections (upsampled channels first), 1x1 classifier.
///
/// Parameters are named encoder.L.conv1, encoder.L.conv2, bottom.conv1, bottom.conv2, decoder.L.up, decoder.L.conv1,
/// decoder.L.conv2 and head, each .weight [K,R,S,C] and .bias [K]; L = 0 is the finest level.
class Network {
 public:
  /// He-initialised from the seed; biases zero. `dtype` of the parameters: f32, or f64 on the reference target.
  /// Throws ConfigError for an invalid configuration.
  Network(std::shared_ptr<engine::Device> device, const NetworkConfig& config, uint64_t seed, DType dtype = DType::f32);

  /// Scores [N,h,w,classes] in the accumulation type (f32 for f32 and bf16) of images x [N,H,W,in_channels].
  /// Activations are computed in `precision`. With `dropout_key` features are dropped (training); its purpose is
  /// counted up per layer, and `dropout_step` (see engine::dropout) may give its step. H and W must be valid for the
  /// depth: Throws ShapeError naming the nearest valid sizes.
  engine::Tensor forward(const engine::Tensor& x, DType precision, const kernels::PhiloxKey* dropout_key = nullptr,
                         const engine::Tensor& dropout_step = {}) const;

  const NetworkConfig& config() const { return config_; }
  const std::shared_ptr<engine::Device>& device() const { return device_; }
  /// All parameters, from input to output. Biases train at `bias_lr_factor` times the rate and do not decay.
  engine::ParameterList parameters(double bias_lr_factor = 1) const;

 private:
  struct Convolution {
    std::string name;
    engine::Tensor weight, bias;
  };
  struct Level {
    Convolution conv1, conv2;
  };

  Convolution make(const std::string& name, int64_t outputs, int64_t side, int64_t inputs, double fan_in);
  Level make_level(const std::string& name, int64_t outputs, int64_t inputs);

  std::shared_ptr<engine::Device> device_;
  NetworkConfig config_;
  uint64_t seed_;
  DType dtype_;
  std::vector<Level> encoder_;  // [depth], finest first
  Level bottom_;
  std::vector<Convolution> up_;  // [depth], finest first
  std::vector<Level> decoder_;   // [depth], finest first
  Convolution head_;
  std::vector<Convolution> in_order_;  // every convolution from input to output: handles to the same tensors
};

}  // namespace unet
