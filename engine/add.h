// Differentiable element-wise sum.
#pragma once

#include "engine/tensor.h"

namespace unet::engine {

/// y = a + b, of equal shapes. Kernel: kernels/add.h.
Tensor add(const Tensor& a, const Tensor& b);

}  // namespace unet::engine
