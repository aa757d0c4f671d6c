#include "kernels/adam.h"

#include <cmath>

namespace unet::kernels {

template <class T>
void execute(Reference, const Context&, const Adam<T>& op) {
  const auto t = static_cast<double>(op.step);
  const double correction1 = 1 - std::pow(op.beta1, t), correction2 = 1 - std::pow(op.beta2, t);
  for (const AdamParameter<T>& p : op.parameters) {
    const double lr = op.lr * p.lr_factor, decay = op.weight_decay * p.decay_factor;
    for (int64_t i = 0; i < p.size; ++i) {
      const double g = op.gradient_scale * p.dw[i];
      const double m = op.beta1 * p.m[i] + (1 - op.beta1) * g;
      const double v = op.beta2 * p.v[i] + (1 - op.beta2) * g * g;
      const double direction = (m / correction1) / (std::sqrt(v / correction2) + op.eps);
      p.w[i] = static_cast<T>(p.w[i] - lr * (direction + decay * p.w[i]));
      p.m[i] = static_cast<T>(m);
      p.v[i] = static_cast<T>(v);
    }
  }
}

template void execute(Reference, const Context&, const Adam<float>&);
template void execute(Reference, const Context&, const Adam<double>&);

}  // namespace unet::kernels
