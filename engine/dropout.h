// Differentiable inverted dropout.
#pragma once

#include "engine/tensor.h"
#include "kernels/philox.h"

namespace unet::engine {

/// y = x / (1-p) where kept, else 0; the mask is a function of key and position alone. p = 0 returns x.
/// Kernel: kernels/dropout.h.
Tensor dropout(const Tensor& x, double p, const kernels::PhiloxKey& key);

}  // namespace unet::engine
