// Rectified linear unit, forward and backward, for where it is not fused into a convolution.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// y = x where x > 0 or x is NaN, else 0. y may alias x. Exact.
template <class T>
struct Relu {
  using Element = T;
  static constexpr const char* kName = "relu";

  View<const T> x;  // [N,H,W,C]
  View<T> y;        // [N,H,W,C]

  void check() const;
};

/// dx = dy where y > 0, else 0. dx may alias dy. Exact.
template <class T>
struct ReluBackward {
  using Element = T;
  static constexpr const char* kName = "relu_backward";

  View<const T> y;   // [N,H,W,C] output of Relu
  View<const T> dy;  // [N,H,W,C]
  View<T> dx;        // [N,H,W,C]

  void check() const;
};

UNET_DECLARE_OPERATION(Relu);
UNET_DECLARE_OPERATION(ReluBackward);

}  // namespace unet::kernels
