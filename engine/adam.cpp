#include "engine/adam.h"

#include "kernels/adam.h"

namespace unet::engine {

Adam::Adam(ParameterList parameters, const AdamOptions& options) : Optimizer(std::move(parameters)), options_(options) {
  for (const Parameter& p : parameters_) {
    first_.push_back(Tensor::zeros(p.value.device(), p.value.shape(), p.value.dtype()));
    second_.push_back(Tensor::zeros(p.value.device(), p.value.shape(), p.value.dtype()));
  }
}

ParameterList Adam::state() const {
  ParameterList state;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state.push_back({parameters_[i].name + "/first_moment", first_[i]});
    state.push_back({parameters_[i].name + "/second_moment", second_[i]});
  }
  return state;
}

void Adam::step(double lr, double gradient_scale) {
  if (parameters_.empty()) return;
  const auto update = [&]<class T>() {
    std::vector<kernels::AdamParameter<T>> list;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Parameter& p = parameters_[i];
      if (!p.value.grad()) continue;
      list.push_back({.w = p.value.mutable_view<T>().data,
                      .dw = p.value.grad().view<T>().data,
                      .m = first_[i].mutable_view<T>().data,
                      .v = second_[i].mutable_view<T>().data,
                      .size = p.value.shape().elements(),
                      .lr_factor = p.lr_factor,
                      .decay_factor = p.decay_factor});
    }
    kernels::run(parameters_[0].value.device()->context(), kernels::Adam<T>{.parameters = list,
                                                                            .step = steps_ + 1,
                                                                            .lr = lr,
                                                                            .beta1 = options_.beta1,
                                                                            .beta2 = options_.beta2,
                                                                            .eps = options_.eps,
                                                                            .weight_decay = options_.weight_decay,
                                                                            .gradient_scale = gradient_scale});
  };
  parameters_[0].value.dtype() == DType::f64 ? update.template operator()<double>()
                                             : update.template operator()<float>();
  ++steps_;
}

}  // namespace unet::engine
