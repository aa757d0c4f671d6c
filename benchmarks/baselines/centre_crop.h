// Differentiable cropping.
#pragma once

#include "engine/tensor.h"

namespace unet::baselines {

/// The middle [N,height,width,C] of x [N,H,W,C]; where the rest is odd, its larger part lies below and to the right.
/// Throws ShapeError for an output larger than x.
engine::Tensor centre_crop(const engine::Tensor& x, int64_t height, int64_t width);

}  // namespace unet::baselines
