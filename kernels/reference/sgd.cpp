#include "kernels/sgd.h"

namespace unet::kernels {

template <class T>
void execute(Reference, const Context&, const Sgd<T>& op) {
  for (const SgdParameter<T>& p : op.parameters) {
    for (int64_t i = 0; i < p.size; ++i) {
      const double g = op.gradient_scale * p.dw[i] + op.weight_decay * p.decay_factor * p.w[i];
      const double v = op.momentum * p.v[i] - op.lr * p.lr_factor * g;
      p.w[i] = static_cast<T>(p.w[i] + v);
      p.v[i] = static_cast<T>(v);
    }
  }
}

template void execute(Reference, const Context&, const Sgd<float>&);
template void execute(Reference, const Context&, const Sgd<double>&);

}  // namespace unet::kernels
