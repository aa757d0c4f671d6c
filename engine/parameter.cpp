#include "engine/parameter.h"

#include <cmath>
#include <numeric>

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

namespace {

/// *result = the reduction of t, on the device.
void reduce(const Tensor& t, kernels::Reduction reduction, double* result) {
  dispatch_float("reduce", t.dtype(), [&]<class T>() {
    kernels::run(t.device()->context(), kernels::Reduce<T>{.x = t.view<T>(), .reduction = reduction, .result = result});
  });
}

}  // namespace

StepStatistics::StepStatistics(const Tensor& loss, const ParameterList& parameters) {
  std::vector<Tensor> gradients;
  for (const Parameter& p : parameters) {
    if (const Tensor g = p.value.grad()) gradients.push_back(g);
  }
  values_ = Tensor::empty(loss.device(), Shape{static_cast<int64_t>(1 + gradients.size())}, DType::f64);
  double* result = values_.mutable_view<double>().data;
  reduce(loss, kernels::Reduction::sum, result++);
  for (const Tensor& g : gradients) reduce(g, kernels::Reduction::sum_of_squares, result++);
}

StepStatistics::Values StepStatistics::read() const {
  const std::vector<double> values = values_.values<double>();
  return {.loss = values[0], .gradient_norm = std::sqrt(std::accumulate(values.begin() + 1, values.end(), 0.0))};
}

}  // namespace unet::engine
