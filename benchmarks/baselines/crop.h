// Differentiable cropping.
#pragma once

#include "engine/tensor.h"

namespace unet::baselines {

/// The part [N,height,width,C] of x [N,H,W,C] from row `top` and column `left` on. Throws ShapeError for a part that
/// does not lie in x.
engine::Tensor crop(const engine::Tensor& x, int64_t top, int64_t left, int64_t height, int64_t width);

/// The middle of x; where the rest is odd, its larger part lies below and to the right.
engine::Tensor centre_crop(const engine::Tensor& x, int64_t height, int64_t width);

}  // namespace unet::baselines
