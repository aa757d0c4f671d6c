#include "engine/relu.h"

#include "engine/autograd.h"
#include "kernels/relu.h"

namespace unet::engine {

Tensor relu(const Tensor& x) {
  return dispatch_float("relu", x.dtype(), [&]<class T>() {
    const auto& device = x.device();
    const Tensor y = Tensor::empty(device, x.shape(), x.dtype(), x.layout());
    kernels::run(device->context(), kernels::Relu<T>{.x = x.view<T>(), .y = y.mutable_view<T>()});
    record(y, {x}, [=, result = y.detach()](const Tensor& dy, bool) -> std::vector<Gradient> {
      kernels::run(device->context(),
                   kernels::ReluBackward<T>{.y = result.view<T>(), .dy = dy.view<T>(), .dx = dy.mutable_view<T>()});
      return {dy};
    });
    return y;
  });
}

}  // namespace unet::engine
