// Differentiable pixel-weighted softmax cross-entropy.
#pragma once

#include "engine/tensor.h"
#include "kernels/softmax_cross_entropy.h"

namespace unet::engine {

using kernels::LossNormalization;

/// The loss [1] of scores x [N,H,W,K] (f32 or f64) against labels [N,H,W,1] (i32, -1 = ignore), with weights
/// [N,H,W,1] (f32) or an empty tensor. Kernel: kernels/softmax_cross_entropy.h.
Tensor softmax_cross_entropy(const Tensor& x, const Tensor& labels, const Tensor& weights = {},
                             LossNormalization normalization = LossNormalization::valid_pixels);

}  // namespace unet::engine
