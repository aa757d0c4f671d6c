#include "engine/dropout.h"

#include "engine/autograd.h"
#include "kernels/dropout.h"

namespace unet::engine {

Tensor dropout(const Tensor& x, double p, const kernels::PhiloxKey& key) {
  if (p == 0) return x;
  return dispatch_float("dropout", x.dtype(), [&]<class T>() {
    const auto& device = x.device();
    const Tensor y = Tensor::empty(device, x.shape(), x.dtype(), x.layout());
    kernels::run(device->context(),
                 kernels::Dropout<T>{.x = x.view<T>(), .y = y.mutable_view<T>(), .p = p, .key = key});
    record(y, {x}, [=](const Tensor& dy) -> std::vector<Gradient> {
      kernels::run(device->context(),
                   kernels::Dropout<T>{.x = dy.view<T>(), .y = dy.mutable_view<T>(), .p = p, .key = key});
      return {dy};
    });
    return y;
  });
}

}  // namespace unet::engine
