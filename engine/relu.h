// Differentiable rectified linear unit.
#pragma once

#include "engine/tensor.h"

namespace unet::engine {

/// y = max(x, 0). Kernel: kernels/relu.h. Conv2dOptions::relu fuses it into a convolution.
Tensor relu(const Tensor& x);

}  // namespace unet::engine
