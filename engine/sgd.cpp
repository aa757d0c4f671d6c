#include "engine/sgd.h"

#include "kernels/sgd.h"

namespace unet::engine {

Sgd::Sgd(ParameterList parameters, const SgdOptions& options) : Optimizer(std::move(parameters)), options_(options) {
  for (const Parameter& p : parameters_) {
    velocity_.push_back(Tensor::zeros(p.value.device(), p.value.shape(), p.value.dtype()));
  }
}

ParameterList Sgd::state() const {
  ParameterList state;
  for (size_t i = 0; i < parameters_.size(); ++i) state.push_back({parameters_[i].name + "/velocity", velocity_[i]});
  return state;
}

void Sgd::step(double lr, double gradient_scale) {
  if (parameters_.empty()) return;
  const auto update = [&]<class T>() {
    std::vector<kernels::SgdParameter<T>> list;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Parameter& p = parameters_[i];
      if (!p.value.grad()) continue;
      list.push_back({.w = p.value.mutable_view<T>().data,
                      .dw = p.value.grad().view<T>().data,
                      .v = velocity_[i].mutable_view<T>().data,
                      .size = p.value.shape().elements(),
                      .lr_factor = p.lr_factor,
                      .decay_factor = p.decay_factor});
    }
    kernels::run(parameters_[0].value.device()->context(), kernels::Sgd<T>{.parameters = list,
                                                                           .lr = lr,
                                                                           .momentum = options_.momentum,
                                                                           .weight_decay = options_.weight_decay,
                                                                           .gradient_scale = gradient_scale});
  };
  parameters_[0].value.dtype() == DType::f64 ? update.template operator()<double>()
                                             : update.template operator()<float>();
  ++steps_;
}

}  // namespace unet::engine
