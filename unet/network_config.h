// The shape of a U-Net: what is stored in a model file and what builds the same network again.
#pragma once

#include <cstdint>

#include "unet/enum_names.h"

namespace unet {

/// N in the standard deviation sqrt(2/N) of an up-convolution's initial weights [C_in,C_out,2,2]. The paper says "the
/// number of incoming nodes of one neuron" and leaves open how to count them for a transposed convolution.
enum class UpconvFan : uint8_t {
  cin,      // C_in: each output neuron of a 2x2 stride-2 up-convolution has exactly C_in inputs; keeps unit variance
  release,  // 4 C_out: what the authors' 2015 release computes (count/num of Caffe's blob), as PyTorch does
  conv2x2   // 4 C_in: reads "up-convolution" as upsampling followed by a 2x2 convolution
};
template <>
struct EnumNames<UpconvFan> {
  static constexpr std::array<std::string_view, 3> value{"cin", "release", "conv2x2"};
};

/// Channels at level l are width * 2^l for l = 0 .. depth; the defaults are Figure 1 of Ronneberger et al. 2015.
struct NetworkConfig {
  int64_t in_channels = 1;       // image channels, 1 .. 16
  int64_t classes = 2;           // output channels, 2 .. 255
  int64_t depth = 4;             // number of poolings, 1 .. 6
  int64_t width = 64;            // channels of the first level, 1 .. 1024
  bool up_relu = false;          // ReLU after each up-convolution: no in Figure 1, yes in the 2015 release
  int64_t last_up_channels = 0;  // outputs of the up-convolution to level 0; 0: width (the release has 2*width)
  double dropout = 0.5;          // probability at the two deepest levels, 0 .. below 1
  UpconvFan upconv_fan = UpconvFan::cin;

  /// Throws ConfigError naming the first value outside its range.
  void validate() const;
  bool operator==(const NetworkConfig&) const = default;
};

}  // namespace unet
