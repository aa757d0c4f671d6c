// What optimisers have in common.
#pragma once

#include "engine/parameter.h"

namespace unet::engine {

/// Updates parameters from their gradients. Parameters without a gradient stay as they are.
class Optimizer {
 public:
  explicit Optimizer(ParameterList parameters) : parameters_(std::move(parameters)) {}
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update with learning rate lr; gradients are multiplied by gradient_scale first.
  virtual void step(double lr, double gradient_scale = 1.0) = 0;

  /// The state to store in a checkpoint: tensors named after their parameter, such as "head.weight/velocity".
  virtual ParameterList state() const = 0;
  /// Updates made so far; stored and restored with the state.
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }

  const ParameterList& parameters() const { return parameters_; }

 protected:
  ParameterList parameters_;
  int64_t steps_ = 0;
};

}  // namespace unet::engine
