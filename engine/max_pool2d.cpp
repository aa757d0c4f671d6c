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
    const Tensor mask = differentiable && wants_masked_gradient(x) ? x.detach() : Tensor{};
    record(y, {x}, [=, layout = x.layout()](const Tensor& dy, bool) -> std::vector<Gradient> {
      Gradient dx(Tensor::empty(device, in, dy.dtype(), layout));
      kernels::MaxPool2dBackward<T> operation{
          .code = code.view<uint8_t>(), .dy = dy.view<T>(), .dx = dx.value.mutable_view<T>()};
      if (mask) operation.relu_y = mask.view<T>();
      kernels::run(device->context(), operation);
      dx.masked = static_cast<bool>(mask);
      return {dx};
    });
    return y;
  });
}

}  // namespace unet::engine
