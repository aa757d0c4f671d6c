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
/// Euclidean norm over all gradients, in double and a fixed order; NaN or infinity where a gradient is not finite.
double gradient_norm(const ParameterList& parameters);

}  // namespace unet::engine
