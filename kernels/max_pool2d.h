// 2x2 max pooling with stride 2, forward and backward.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// y[n,i,j,c] = max over a,d in {0,1} of x[n,2i+a,2j+d,c]; code = 2a+d of the maximum, the first in row-major order
/// where several are equal. An odd last row or column is left out. A NaN is greater than any number. Exact.
template <class T>
struct MaxPool2d {
  using Element = T;
  static constexpr const char* kName = "max_pool2d";

  View<const T> x;     // [N,H,W,C], H,W >= 2
  View<T> y;           // [N,H/2,W/2,C]
  View<uint8_t> code;  // [N,H/2,W/2,C] in the layout of y; empty where no gradient is needed

  void check() const;
};

/// dx[n,2i+a,2j+d,c] = dy[n,i,j,c] where code[n,i,j,c] == 2a+d, else 0. Overwrites all of dx. Exact.
template <class T>
struct MaxPool2dBackward {
  using Element = T;
  static constexpr const char* kName = "max_pool2d_backward";

  View<const uint8_t> code;  // [N,H/2,W/2,C]
  View<const T> dy;          // [N,H/2,W/2,C]
  View<T> dx;                // [N,H,W,C]

  void check() const;
};

UNET_DECLARE_OPERATION(MaxPool2d);
UNET_DECLARE_OPERATION(MaxPool2dBackward);

}  // namespace unet::kernels
