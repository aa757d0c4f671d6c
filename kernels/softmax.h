// Softmax over the channels of each pixel.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// y[n,h,w,k] = exp(x[k]-m) / sum_j exp(x[j]-m), m = max_j x[j], per pixel. y may alias x.
template <class T>
struct Softmax {
  using Element = T;
  static constexpr const char* kName = "softmax";

  View<const T> x;  // [N,H,W,K] scores (logits)
  View<T> y;        // [N,H,W,K] probabilities

  void check() const;
};

UNET_DECLARE_OPERATION(Softmax);

}  // namespace unet::kernels
