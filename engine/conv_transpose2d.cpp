#include "engine/conv_transpose2d.h"

#include "engine/autograd.h"
#include "kernels/conv_transpose2d.h"

namespace unet::engine {

Tensor conv_transpose2d(const Tensor& x, const Tensor& w, const Tensor& b, bool relu) {
  return dispatch_float("conv_transpose2d", x.dtype(), [&]<class T>() {
    using A = Accumulate<T>;
    const auto& device = x.device();
    const Tensor y =
        empty_image(device, Shape{x.shape().n(), 2 * x.shape().h(), 2 * x.shape().w(), w.shape().n()}, x.dtype());
    // A training step uses a packed filter once: only inference keeps it.
    kernels::run(device->context(),
                 kernels::ConvTranspose2d<T>{.x = x.view<T>(),
                                             .w = w.view<A>(),
                                             .b = b ? b.view<A>() : View<const A>{},
                                             .y = y.mutable_view<T>(),
                                             .relu = relu,
                                             .cache = device->recording() ? nullptr : &w.filter_cache()});
    const Tensor mask = relu ? y.detach() : Tensor{};
    record(
        y, {x, w, b},
        [=](const Tensor& dy, bool masked) -> std::vector<Gradient> {
          const auto empty_like = [&](const Tensor& t) {
            return needs_gradient(t) ? Tensor::empty(device, t.shape(), t.dtype(), t.layout()) : Tensor{};
          };
          const Tensor dx = empty_like(x), dw = empty_like(w), db = empty_like(b);
          kernels::run(device->context(),
                       kernels::ConvTranspose2dBackward<T>{.x = x.view<T>(),
                                                           .w = w.view<A>(),
                                                           .y = mask && !masked ? mask.view<T>() : View<const T>{},
                                                           .dy = dy.mutable_view<T>(),
                                                           .dx = dx ? dx.mutable_view<T>() : View<T>{},
                                                           .dw = dw ? dw.mutable_view<A>() : View<A>{},
                                                           .db = db ? db.mutable_view<A>() : View<A>{}});
          return {dx, dw, db};
        },
        relu);
    return y;
  });
}

}  // namespace unet::engine
