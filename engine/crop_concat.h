// Differentiable crop-concat as an operation of its own; Conv2dOptions::x2 is the form that moves no bytes.
#pragma once

#include "engine/tensor.h"

namespace unet::engine {

/// y [N,H,W,C1+C2]: x [N,H,W,C1] followed by the centre of x2 [N,H2,W2,C2]. Kernel: kernels/crop_concat.h.
Tensor crop_concat(const Tensor& x, const Tensor& x2);

}  // namespace unet::engine
