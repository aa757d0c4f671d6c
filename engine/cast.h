// Element type and layout of a tensor.
#pragma once

#include "engine/tensor.h"

namespace unet::engine {

/// x with element type `dtype`, in the layout its device prefers; x itself where it already is so. Differentiable
/// between floating-point types. Kernel: kernels/cast.h.
Tensor cast(const Tensor& x, DType dtype);

/// to = x, converted; shapes must be equal. Outside the graph.
void copy(const Tensor& x, const Tensor& to);

/// A copy in memory of its own, outside the graph.
Tensor clone(const Tensor& x);

}  // namespace unet::engine
