// Stochastic gradient descent with momentum, Caffe's form.
#pragma once

#include "engine/optimizer.h"

namespace unet::engine {

struct SgdOptions {
  double momentum = 0.99;
  double weight_decay = 0;
};

/// Kernel and formula: kernels/sgd.h.
class Sgd final : public Optimizer {
 public:
  Sgd(ParameterList parameters, const SgdOptions& options = {});
  void step(double lr, double gradient_scale = 1.0) override;
  ParameterList state() const override;

 private:
  SgdOptions options_;
  std::vector<Tensor> velocity_;
};

}  // namespace unet::engine
