// Stochastic gradient descent with momentum over all parameters at once.
#pragma once

#include <span>

#include "kernels/context.h"

namespace unet::kernels {

/// One parameter of a multi-tensor update: dense arrays of `size` elements.
template <class T>
struct SgdParameter {
  T* w = nullptr;         // [size] parameter
  const T* dw = nullptr;  // [size] gradient
  T* v = nullptr;         // [size] velocity
  int64_t size = 0;
  double lr_factor = 1;     // multiplies the learning rate
  double decay_factor = 1;  // multiplies the weight decay
};

/// Caffe's update:  g = gradient_scale*dw + decay*w;  v = momentum*v - lr*g;  w += v.
/// The learning rate sits inside the velocity (PyTorch's does not): it matters where lr changes.
/// Source: Ronneberger et al. 2015, section 3 (momentum 0.99); Caffe SGDSolver.
template <class T>
struct Sgd {
  using Element = T;  // float or double
  static constexpr const char* kName = "sgd";

  std::span<const SgdParameter<T>> parameters;
  double lr = 1e-3;
  double momentum = 0.99;
  double weight_decay = 0;
  double gradient_scale = 1;  // undoes a loss scale

  void check() const;
};

UNET_DECLARE_OPERATION(Sgd);

}  // namespace unet::kernels
