// The convolution layers of the paper's U-Net, as the benchmarks time them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/error.h"

namespace unet::benchmarks {

enum class LayerKind : uint8_t { convolution, up_convolution };

/// One layer at batch 1. Convolutions are unpadded; up-convolutions are 2x2 with stride 2.
struct Layer {
  std::string name;
  LayerKind kind = LayerKind::convolution;
  int64_t side = 3;        // of the filter
  int64_t size = 0;        // of the square input, px
  int64_t c1 = 0, c2 = 0;  // channels of the input and of the cropped skip connection beside it
  int64_t k = 0;           // output channels
  bool relu = true;

  int64_t c() const { return c1 + c2; }
  int64_t output_size() const { return kind == LayerKind::convolution ? size - side + 1 : 2 * size; }
  double gflop() const {
    const int64_t pixels = kind == LayerKind::convolution ? output_size() * output_size() : size * size;
    return 2e-9 * static_cast<double>(pixels * side * side * c() * k);
  }
};

/// The 23 layers of a network with 4 levels of pooling, one input channel and two classes.
inline std::vector<Layer> unet_layers(int64_t width, int64_t size) {
  std::vector<Layer> layers;
  int64_t channels = 1;
  const auto block = [&](const std::string& name, int64_t skip, int64_t k) {
    layers.push_back({.name = name + ".0", .size = size, .c1 = channels, .c2 = skip, .k = k});
    layers.push_back({.name = name + ".1", .size = size - 2, .c1 = k, .k = k});
    size -= 4;
    channels = k;
  };
  for (int64_t level = 0; level < 4; ++level) {
    block(concat("encoder.", level), 0, width << level);
    size /= 2;
  }
  block("bottom", 0, width << 4);
  for (int64_t level = 3; level >= 0; --level) {
    const int64_t k = width << level;
    const std::string name = concat("decoder.", level);
    layers.push_back({.name = name + ".up",
                      .kind = LayerKind::up_convolution,
                      .side = 2,
                      .size = size,
                      .c1 = channels,
                      .k = k,
                      .relu = false});
    size *= 2;
    channels = k;
    block(name, k, k);
  }
  layers.push_back({.name = "head", .side = 1, .size = size, .c1 = channels, .k = 2, .relu = false});
  return layers;
}

}  // namespace unet::benchmarks
