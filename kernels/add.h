// Element-wise sum.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// y = a + b. y may alias a or b. Autograd adds gradients with it, into crops too; FCN-style skips use it forward.
template <class T>
struct Add {
  using Element = T;
  static constexpr const char* kName = "add";

  View<const T> a;  // [N,H,W,C]
  View<const T> b;  // [N,H,W,C]
  View<T> y;        // [N,H,W,C]

  void check() const;
};

UNET_DECLARE_OPERATION(Add);

}  // namespace unet::kernels
