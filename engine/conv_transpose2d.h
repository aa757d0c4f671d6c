// Differentiable transposed 2x2 convolution with stride 2 ("up-convolution").
#pragma once

#include "engine/tensor.h"

namespace unet::engine {

/// y [N,2H,2W,K] of x [N,H,W,C], filter w [K,2,2,C] and bias b [K] (or empty). Kernel: kernels/conv_transpose2d.h.
Tensor conv_transpose2d(const Tensor& x, const Tensor& w, const Tensor& b, bool relu = false);

}  // namespace unet::engine
