// The baseline of the operation benchmark: one layer as a program writes it with plain oneDNN.
#pragma once

#include <functional>
#include <string>

#include "benchmarks/layer_case.h"
#include "kernels/types.h"

namespace unet::benchmarks {

/// Passes over memory of their own. backward_filter masks dy by ReLU where the layer has one, and sums the bias
/// gradient.
struct Passes {
  std::function<void()> forward, backward_data, backward_filter;
  std::function<double(Pass)> error;  // LayerCase::error, or empty

  const std::function<void()>& of(Pass pass) const {
    if (pass == Pass::forward) return forward;
    return pass == Pass::backward_data ? backward_data : backward_filter;
  }
};

/// Channels-last images, algorithm and filter format of oneDNN's choice, filters packed beforehand, ReLU and bias fused
/// as far as oneDNN fuses them. The two sources of a layer are one image already. Threads: OpenMP's setting.
Passes onednn_passes(const Layer& layer, DType type);

std::string onednn_version();

}  // namespace unet::benchmarks
