// Adam with decoupled weight decay.
#pragma once

#include "engine/optimizer.h"

namespace unet::engine {

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
};

/// Kernel and formula: kernels/adam.h.
class Adam final : public Optimizer {
 public:
  Adam(ParameterList parameters, const AdamOptions& options = {});
  void step(double lr, double gradient_scale = 1.0) override;
  ParameterList state() const override;

 private:
  AdamOptions options_;
  std::vector<Tensor> first_, second_;  // moments
};

}  // namespace unet::engine
