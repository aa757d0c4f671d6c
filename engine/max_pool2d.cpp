#include "engine/max_pool2d.h"

#include "engine/autograd.h"
#include "kernels/max_pool2d.h"

namespace unet::engine {

Tensor max_pool2d(const Tensor& x) {
  return dispatch_float("max_pool2d", x.dtype(), [&]<class T>() {
    const auto& device = x.device();
    const Shape in = x.shape();
    const Shape out{in.n(), in.h() / 2, in.w() / 2, in.c()};
    const Tensor y = Tensor::empty(device, out, x.dtype(), x.layout());
    const bool differentiable = device->recording() && needs_gradient(x);
    const Tensor code = differentiable ? Tensor::empty(device, out, DType::u8, x.layout()) : Tensor{};
    kernels::run(
        device->context(),
        kernels::MaxPool2d<T>{
            .x = x.view<T>(), .y = y.mutable_view<T>(), .code = code ? code.mutable_view<uint8_t>() : View<uint8_t>{}});
    record(y, {x}, [=, layout = x.layout()](const Tensor& dy) -> std::vector<Gradient> {
      const Tensor dx = Tensor::empty(device, in, dy.dtype(), layout);
      kernels::run(
          device->context(),
          kernels::MaxPool2dBackward<T>{.code = code.view<uint8_t>(), .dy = dy.view<T>(), .dx = dx.mutable_view<T>()});
      return {dx};
    });
    return y;
  });
}

}  // namespace unet::engine
