// Differentiable 2x2 max pooling with stride 2.
#pragma once

#include "engine/tensor.h"

namespace unet::engine {

/// y [N,H/2,W/2,C] of x [N,H,W,C]. Kernel: kernels/max_pool2d.h.
Tensor max_pool2d(const Tensor& x);

}  // namespace unet::engine
