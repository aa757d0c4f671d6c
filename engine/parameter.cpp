#include "engine/parameter.h"

#include <cmath>

#include "kernels/reduce.h"

namespace unet::engine {

int64_t count_elements(const ParameterList& parameters) {
  int64_t count = 0;
  for (const Parameter& p : parameters) count += p.value.shape().elements();
  return count;
}

void clear_gradients(const ParameterList& parameters) {
  for (const Parameter& p : parameters) p.value.set_grad({});
}

double gradient_norm(const ParameterList& parameters) {
  double squares = 0;
  for (const Parameter& p : parameters) {
    const Tensor g = p.value.grad();
    if (!g) continue;
    double one = 0;
    dispatch_float("gradient_norm", g.dtype(), [&]<class T>() {
      kernels::run(
          g.device()->context(),
          kernels::Reduce<T>{.x = g.view<T>(), .reduction = kernels::Reduction::sum_of_squares, .result = &one});
    });
    squares += one;
  }
  return std::sqrt(squares);
}

}  // namespace unet::engine
