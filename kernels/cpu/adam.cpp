#include "kernels/adam.h"

#include <cmath>

#include "kernels/cpu/rows.h"

namespace unet::kernels {

template <>
void execute(Cpu, const Context& context, const Adam<float>& op) {
  int64_t elements = 0;
  for (const auto& p : op.parameters) elements += p.size;

  const auto t = static_cast<double>(op.step);
  const auto correction1 = static_cast<float>(1 / (1 - std::pow(op.beta1, t)));
  const auto correction2 = static_cast<float>(1 / (1 - std::pow(op.beta2, t)));
  const auto scale = static_cast<float>(op.gradient_scale), eps = static_cast<float>(op.eps);
  const auto keep1 = static_cast<float>(op.beta1), take1 = static_cast<float>(1 - op.beta1);
  const auto keep2 = static_cast<float>(op.beta2), take2 = static_cast<float>(1 - op.beta2);
#pragma omp parallel num_threads(cpu::threads_for(context, elements))
  for (const auto& p : op.parameters) {
    const auto lr = static_cast<float>(op.lr * p.lr_factor);
    const auto decay = static_cast<float>(op.weight_decay * p.decay_factor);
    // No thread waits for another between parameters: they are separate memory.
#pragma omp for simd schedule(static) nowait
    for (int64_t i = 0; i < p.size; ++i) {
      const float g = scale * p.dw[i];
      const float m = keep1 * p.m[i] + take1 * g;
      const float v = keep2 * p.v[i] + take2 * g * g;
      p.m[i] = m;
      p.v[i] = v;
      p.w[i] -= lr * (m * correction1 / (std::sqrt(v * correction2) + eps) + decay * p.w[i]);
    }
  }
}

}  // namespace unet::kernels
