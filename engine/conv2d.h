// Differentiable unpadded convolution.
#pragma once

#include "engine/tensor.h"

namespace unet::engine {

struct Conv2dOptions {
  Tensor x2{};               // [N,H2,W2,C2] second source, centre-cropped to x: crop-concat without a copy; or empty
  bool relu = false;         // ReLU on the result
  bool wide_output = false;  // keep the result in the accumulation type (f32 for bf16)
  Tensor* pooled = nullptr;  // where to leave max_pool2d() of the result, or null: devices store both in one pass
};

/// y [N,H-R+1,W-S+1,K] of x [N,H,W,C1], filter w [K,R,S,C1+C2] and bias b [K] (or empty). Kernel: kernels/conv2d.h.
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dOptions& options = {});

}  // namespace unet::engine
