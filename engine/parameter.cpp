#include "engine/parameter.h"

#include <cmath>
#include <span>

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

StepStatistics::StepStatistics(const Tensor& loss, const ParameterList& parameters)
    : values_(Tensor::empty(loss.device(), Shape{2}, DType::f64)) {
  double* result = values_.mutable_view<double>().data;
  const kernels::Context& context = loss.device()->context();
  const auto compute = [&]<class T>() {
    std::vector<std::span<const T>> gradients;
    for (const Parameter& p : parameters) {
      if (const Tensor g = p.value.grad()) {
        gradients.emplace_back(g.view<T>().data, static_cast<size_t>(g.shape().elements()));
      }
    }
    kernels::run(context, kernels::Reduce<T>{.x = loss.view<T>(), .result = result});
    kernels::run(context, kernels::SumOfSquares<T>{.arrays = gradients, .result = result + 1});
  };
  loss.dtype() == DType::f64 ? compute.template operator()<double>() : compute.template operator()<float>();
}

StepStatistics::Values StepStatistics::read() const {
  const std::vector<double> values = values_.values<double>();
  return {.loss = values[0], .gradient_norm = std::sqrt(values[1])};
}

}  // namespace unet::engine
