// Adam over all parameters at once.
#pragma once

#include <span>

#include "kernels/context.h"

namespace unet::kernels {

/// One parameter of a multi-tensor update: dense arrays of `size` elements.
template <class T>
struct AdamParameter {
  T* w = nullptr;         // [size] parameter
  const T* dw = nullptr;  // [size] gradient
  T* m = nullptr;         // [size] first moment
  T* v = nullptr;         // [size] second moment
  int64_t size = 0;
  double lr_factor = 1;
  double decay_factor = 1;
};

/// g = gradient_scale*dw;  m = b1*m + (1-b1)*g;  v = b2*v + (1-b2)*g^2;
/// w -= lr * ( (m/(1-b1^t)) / (sqrt(v/(1-b2^t)) + eps) + decay*w ),  t = step >= 1. Decay is decoupled (AdamW).
/// Source: Kingma and Ba 2015; Loshchilov and Hutter 2019.
template <class T>
struct Adam {
  using Element = T;  // float or double
  static constexpr const char* kName = "adam";

  std::span<const AdamParameter<T>> parameters;
  int64_t step = 1;
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  double gradient_scale = 1;

  void check() const;
};

UNET_DECLARE_OPERATION(Adam);

}  // namespace unet::kernels
