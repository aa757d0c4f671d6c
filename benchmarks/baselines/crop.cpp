#include "benchmarks/baselines/crop.h"

#include "engine/autograd.h"
#include "kernels/cast.h"

namespace unet::baselines {

using engine::Gradient;
using engine::Tensor;

Tensor crop(const Tensor& x, int64_t top, int64_t left, int64_t height, int64_t width) {
  const engine::Shape& from = x.shape();
  if (top < 0 || left < 0 || top + height > from.h() || left + width > from.w()) {
    throw ShapeError(concat("crop: expected a part of the image ", from.text(), ", got ", height, " x ", width,
                            " px from (", top, ", ", left, ")"));
  }
  return engine::dispatch_float("crop", x.dtype(), [&]<class T>() {
    const Tensor y = Tensor::empty(x.device(), engine::Shape{from.n(), height, width, from.c()}, x.dtype(), x.layout());
    kernels::run(x.device()->context(),
                 kernels::Cast<T, T>{.x = x.view<T>().crop(top, left, height, width), .y = y.mutable_view<T>()});
    record(y, {x}, [top, left](const Tensor& dy, bool) { return std::vector<Gradient>{Gradient(dy, top, left)}; });
    return y;
  });
}

Tensor centre_crop(const Tensor& x, int64_t height, int64_t width) {
  return crop(x, (x.shape().h() - height) / 2, (x.shape().w() - width) / 2, height, width);
}

}  // namespace unet::baselines
