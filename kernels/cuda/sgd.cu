#include "kernels/sgd.h"

#include "kernels/cuda/multi_tensor.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

struct SgdTensor {
  float* w;         // [size]
  const float* dw;  // [size]
  float* v;         // [size]
  int64_t size;
  float lr, decay;

  UNET_HOST_DEVICE bool is_aligned() const {
    return (reinterpret_cast<uintptr_t>(w) | reinterpret_cast<uintptr_t>(dw) | reinterpret_cast<uintptr_t>(v)) % 16 ==
           0;
  }
};

struct SgdRule {
  using Tensor = SgdTensor;
  float scale, momentum;

  template <int kWidth>
  __device__ __forceinline__ void update(const Tensor& t, int64_t i) const {
    auto w = load_vector<kWidth>(t.w + i), v = load_vector<kWidth>(t.v + i);
    const auto dw = load_vector<kWidth>(t.dw + i);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      const float g = scale * dw.values[k] + t.decay * w.values[k];
      v.values[k] = momentum * v.values[k] - t.lr * g;
      w.values[k] += v.values[k];
    }
    store_vector(t.v + i, v);
    store_vector(t.w + i, w);
  }
};

}  // namespace
}  // namespace gpu

template <>
void execute(DeviceTarget, const Context& context, const Sgd<float>& op) {
  const gpu::SgdRule rule{.scale = static_cast<float>(op.gradient_scale), .momentum = static_cast<float>(op.momentum)};
  gpu::update(context, rule, op.parameters, [&](const SgdParameter<float>& p) {
    return gpu::SgdTensor{.w = p.w,
                          .dw = p.dw,
                          .v = p.v,
                          .size = p.size,
                          .lr = static_cast<float>(op.lr * p.lr_factor),
                          .decay = static_cast<float>(op.weight_decay * p.decay_factor)};
  });
}

}  // namespace unet::kernels
