// Differentiable 2x2 max pooling with stride 2.
#pragma once

#include "engine/tensor.h"

namespace unet::engine {

/// y [N,H/2,W/2,C] of x [N,H,W,C]. Kernel: kernels/max_pool2d.h.
Tensor max_pool2d(const Tensor& x);

/// For operations that pool on the way: attaches the backward pass of y = max_pool2d(x). `code` [N,H/2,W/2,C] u8 says
/// where the maxima came from; it may be empty where no gradient flows.
void record_max_pool2d(const Tensor& x, const Tensor& y, const Tensor& code);

}  // namespace unet::engine
