// Differentiable inverted dropout.
#pragma once

#include "engine/tensor.h"
#include "kernels/philox.h"

namespace unet::engine {

/// y = x / (1-p) where kept, else 0; the mask is a function of key and position alone. p = 0 returns x. With `step`
/// [1] (i32) its value when the operation executes takes the place of key.step. Kernel: kernels/dropout.h.
Tensor dropout(const Tensor& x, double p, const kernels::PhiloxKey& key, const Tensor& step = {});

}  // namespace unet::engine
