#include "engine/crop_concat.h"

#include "engine/autograd.h"
#include "kernels/crop_concat.h"

namespace unet::engine {

Tensor crop_concat(const Tensor& x, const Tensor& x2) {
  return dispatch_float("crop_concat", x.dtype(), [&]<class T>() {
    const auto& device = x.device();
    const Shape a = x.shape(), b = x2.shape();
    const Tensor y = empty_image(device, Shape{a.n(), a.h(), a.w(), a.c() + b.c()}, x.dtype());
    kernels::run(device->context(),
                 kernels::CropConcat<T>{
                     .x = x.view<T>(), .x2 = x2.view<T>().centre_crop(a.h(), a.w()), .y = y.mutable_view<T>()});
    record(y, {x, x2}, [=, la = x.layout(), lb = x2.layout()](const Tensor& dy, bool) -> std::vector<Gradient> {
      const Tensor dx = Tensor::empty(device, a, dy.dtype(), la);
      const Tensor dx2 = Tensor::empty(device, Shape{a.n(), a.h(), a.w(), b.c()}, dy.dtype(), lb);
      kernels::run(device->context(),
                   kernels::CropConcatBackward<T>{
                       .dy = dy.view<T>(), .dx = dx.mutable_view<T>(), .dx2 = dx2.mutable_view<T>(), .c1 = a.c()});
      return {dx, Gradient(dx2, (b.h() - a.h()) / 2, (b.w() - a.w()) / 2)};
    });
    return y;
  });
}

}  // namespace unet::engine
