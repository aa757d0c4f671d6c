// The fully convolutional network with additive skips, which the U-Net was built upon. Source: Long, Shelhamer and
// Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015.
#pragma once

#include "benchmarks/baselines/layers.h"
#include "kernels/philox.h"
#include "unet/network_config.h"

namespace unet::baselines {

/// The contracting path of a U-Net. On the way up there are no features but the scores of the classes alone: those of
/// the lowest level are enlarged twofold and added to those of the pooling above, until full resolution. With depth 3
/// the strides 8, 4 and 2 are fused, as FCN-8s fuses the three coarsest of VGG, 32, 16 and 8.
///
/// An enlargement is a trained 4x4 transposed convolution of stride 2 that starts as bilinear interpolation, written as
/// an up-convolution and an unpadded 3x3 convolution. All else is unpadded too, and the scores are cropped to those
/// pixels that a U-Net of the same depth gives: both learn from, and segment, the same tiles.
class Fcn {
 public:
  /// Of the configuration in_channels, classes, depth, width and dropout count. Throws ConfigError.
  Fcn(std::shared_ptr<engine::Device> device, const NetworkConfig& config, uint64_t seed, DType dtype = DType::f32);

  /// Scores [N,h,w,classes] of images x [N,H,W,in_channels], sides as in TileRule. With `dropout_key` features of the
  /// lowest level are dropped after each of its convolutions (FCN's fc6 and fc7). Throws ShapeError.
  engine::Tensor forward(const engine::Tensor& x, const kernels::PhiloxKey* dropout_key = nullptr) const;

  engine::ParameterList parameters(double bias_lr_factor = 1) const { return layers_.parameters(bias_lr_factor); }

 private:
  struct Level {
    Layer conv1, conv2;
  };
  struct Enlargement {
    Layer up, smooth;
  };
  Level make_level(const std::string& name, int64_t outputs, int64_t inputs);
  Enlargement make_enlargement(const std::string& name);

  NetworkConfig config_;
  LayerList layers_;
  std::vector<Level> encoder_;  // [depth], finest first
  Level bottom_;
  std::vector<Layer> score_;          // [depth], of stride 2, 4, ... 2^depth
  std::vector<Enlargement> enlarge_;  // [depth], to stride 1, 2, ...
};

}  // namespace unet::baselines
