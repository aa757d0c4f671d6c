#include "kernels/sgd.h"

#include "kernels/cpu/rows.h"

namespace unet::kernels {

template <>
void execute(Cpu, const Context& context, const Sgd<float>& op) {
  int64_t elements = 0;
  for (const auto& p : op.parameters) elements += p.size;

  const auto scale = static_cast<float>(op.gradient_scale), momentum = static_cast<float>(op.momentum);
#pragma omp parallel num_threads(cpu::threads_for(context, elements))
  for (const auto& p : op.parameters) {
    const auto lr = static_cast<float>(op.lr * p.lr_factor);
    const auto decay = static_cast<float>(op.weight_decay * p.decay_factor);
    // No thread waits for another between parameters: they are separate memory.
#pragma omp for simd schedule(static) nowait
    for (int64_t i = 0; i < p.size; ++i) {
      const float g = scale * p.dw[i] + decay * p.w[i];
      const float v = momentum * p.v[i] - lr * g;
      p.v[i] = v;
      p.w[i] += v;
    }
  }
}

}  // namespace unet::kernels
