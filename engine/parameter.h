// Named trainable tensors.
#pragma once

#include <string>
#include <vector>

#include "engine/tensor.h"

namespace unet::engine {

struct Parameter {
  std::string name;         // unique within a network, such as "encoder.0.conv1.weight"
  Tensor value;             // requires_grad() is on
  double lr_factor = 1;     // multiplies the learning rate
  double decay_factor = 1;  // multiplies the weight decay
};

using ParameterList = std::vector<Parameter>;

int64_t count_elements(const ParameterList& parameters);
/// Drops all gradients.
void clear_gradients(const ParameterList& parameters);
/// The loss of a training step and the Euclidean norm over all its gradients, in double and a fixed order, computed on
/// the device and read back together. The norm is NaN or infinity where a gradient is not finite.
class StepStatistics {
 public:
  /// Queues the computation: the values are those of this moment. `loss` has one element.
  StepStatistics(const Tensor& loss, const ParameterList& parameters);

  struct Values {
    double loss = 0, gradient_norm = 0;
  };
  /// Waits for the device.
  Values read() const;

 private:
  Tensor values_;  // [2]: the loss, and the sum of the squares of all gradients
};

}  // namespace unet::engine
