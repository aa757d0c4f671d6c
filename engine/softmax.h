// Softmax over the channels of each pixel. Not differentiable on its own: training uses softmax_cross_entropy.
#pragma once

#include "engine/tensor.h"

namespace unet::engine {

/// Probabilities [N,H,W,K] of scores x [N,H,W,K]. Kernel: kernels/softmax.h.
Tensor softmax(const Tensor& x);

}  // namespace unet::engine
