#include "kernels/adam.h"

#include <cmath>

#include "kernels/cuda/multi_tensor.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

struct AdamTensor {
  float* w;         // [size]
  const float* dw;  // [size]
  float* m;         // [size]
  float* v;         // [size]
  int64_t size;
  float lr, decay;

  UNET_HOST_DEVICE bool is_aligned() const {
    return (reinterpret_cast<uintptr_t>(w) | reinterpret_cast<uintptr_t>(dw) | reinterpret_cast<uintptr_t>(m) |
            reinterpret_cast<uintptr_t>(v)) %
               16 ==
           0;
  }
};

struct AdamRule {
  using Tensor = AdamTensor;
  float scale, keep1, take1, keep2, take2;  // betas, and what is missing to 1
  float correction1, correction2;           // 1 / (1 - beta^t)
  float eps;

  template <int kWidth>
  __device__ __forceinline__ void update(const Tensor& t, int64_t i) const {
    auto w = load_vector<kWidth>(t.w + i), m = load_vector<kWidth>(t.m + i), v = load_vector<kWidth>(t.v + i);
    const auto dw = load_vector<kWidth>(t.dw + i);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      const float g = scale * dw.values[k];
      m.values[k] = keep1 * m.values[k] + take1 * g;
      v.values[k] = keep2 * v.values[k] + take2 * g * g;
      const float direction = m.values[k] * correction1 / (sqrtf(v.values[k] * correction2) + eps);
      w.values[k] -= t.lr * (direction + t.decay * w.values[k]);
    }
    store_vector(t.m + i, m);
    store_vector(t.v + i, v);
    store_vector(t.w + i, w);
  }
};

}  // namespace
}  // namespace gpu

template <>
void execute(DeviceTarget, const Context& context, const Adam<float>& op) {
  const auto t = static_cast<double>(op.step);
  const gpu::AdamRule rule{.scale = static_cast<float>(op.gradient_scale),
                           .keep1 = static_cast<float>(op.beta1),
                           .take1 = static_cast<float>(1 - op.beta1),
                           .keep2 = static_cast<float>(op.beta2),
                           .take2 = static_cast<float>(1 - op.beta2),
                           .correction1 = static_cast<float>(1 / (1 - std::pow(op.beta1, t))),
                           .correction2 = static_cast<float>(1 / (1 - std::pow(op.beta2, t))),
                           .eps = static_cast<float>(op.eps)};
  gpu::update(context, rule, op.parameters, [&](const AdamParameter<float>& p) {
    return gpu::AdamTensor{.w = p.w,
                           .dw = p.dw,
                           .m = p.m,
                           .v = p.v,
                           .size = p.size,
                           .lr = static_cast<float>(op.lr * p.lr_factor),
                           .decay = static_cast<float>(op.weight_decay * p.decay_factor)};
  });
}

}  // namespace unet::kernels
