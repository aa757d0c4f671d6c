#include "benchmarks/baselines/centre_crop.h"

#include "engine/autograd.h"
#include "kernels/cast.h"

namespace unet::baselines {

using engine::Gradient;
using engine::Tensor;

Tensor centre_crop(const Tensor& x, int64_t height, int64_t width) {
  const engine::Shape& from = x.shape();
  if (height > from.h() || width > from.w()) {
    throw ShapeError(
        concat("centre_crop: expected at most the size of the image ", from.text(), ", got ", height, " x ", width));
  }
  const int64_t top = (from.h() - height) / 2, left = (from.w() - width) / 2;
  return engine::dispatch_float("centre_crop", x.dtype(), [&]<class T>() {
    const Tensor y = Tensor::empty(x.device(), engine::Shape{from.n(), height, width, from.c()}, x.dtype(), x.layout());
    kernels::run(x.device()->context(),
                 kernels::Cast<T, T>{.x = x.view<T>().crop(top, left, height, width), .y = y.mutable_view<T>()});
    record(y, {x}, [top, left](const Tensor& dy, bool) { return std::vector<Gradient>{Gradient(dy, top, left)}; });
    return y;
  });
}

}  // namespace unet::baselines
