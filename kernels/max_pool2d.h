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
///
/// Two further steps of a U-Net's backward pass can be taken on the way, in this order; both give the same bits as the
/// operations they stand for:
///   with skip:    dx[n,skip_top+i,skip_left+j,c] += skip[n,i,j,c]      Add into a crop of dx; rounds once
///   with relu_y:  dx = dx where relu_y > 0, else 0                     ReluBackward
template <class T>
struct MaxPool2dBackward {
  using Element = T;
  static constexpr const char* kName = "max_pool2d_backward";

  View<const uint8_t> code;  // [N,H/2,W/2,C]
  View<const T> dy;          // [N,H/2,W/2,C]
  View<T> dx;                // [N,H,W,C]
  View<const T> skip;        // [N,H2,W2,C] gradient of a crop of the pooled image, inside it; or empty
  int64_t skip_top = 0, skip_left = 0;
  View<const T> relu_y;  // [N,H,W,C] the pooled image, where it is the output of a ReLU; or empty

  void check() const;
};

UNET_DECLARE_OPERATION(MaxPool2d);
UNET_DECLARE_OPERATION(MaxPool2dBackward);

}  // namespace unet::kernels
