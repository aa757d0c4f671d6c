#include "engine/cast.h"

#include "engine/autograd.h"
#include "kernels/cast.h"

namespace unet::engine {
namespace {

template <class From, class To>
void copy(const Tensor& x, const Tensor& y) {
  kernels::run(x.device()->context(), kernels::Cast<From, To>{.x = x.view<From>(), .y = y.mutable_view<To>()});
}

void convert(const Tensor& x, const Tensor& y) {
  const auto is = [&](DType from, DType to) { return x.dtype() == from && y.dtype() == to; };
  if (is(DType::f32, DType::f32)) return copy<float, float>(x, y);
  if (is(DType::f32, DType::bf16)) return copy<float, bf16>(x, y);
  if (is(DType::bf16, DType::f32)) return copy<bf16, float>(x, y);
  if (is(DType::bf16, DType::bf16)) return copy<bf16, bf16>(x, y);
  if (is(DType::f32, DType::f64)) return copy<float, double>(x, y);
  if (is(DType::f64, DType::f32)) return copy<double, float>(x, y);
  if (is(DType::f64, DType::f64)) return copy<double, double>(x, y);
  if (is(DType::u8, DType::f32)) return copy<uint8_t, float>(x, y);
  if (is(DType::u8, DType::u8)) return copy<uint8_t, uint8_t>(x, y);
  if (is(DType::i32, DType::i32)) return copy<int32_t, int32_t>(x, y);
  throw TypeError(concat("cast: no conversion from ", name_of(x.dtype()), " to ", name_of(y.dtype())));
}

}  // namespace

Tensor cast(const Tensor& x, DType dtype) {
  const Layout preferred = kernels::preferred_layout(x.device()->target(), x.shape().c());
  if (x.dtype() == dtype && x.layout() == preferred) return x;
  const Tensor y = Tensor::empty(x.device(), x.shape(), dtype, preferred);
  convert(x, y);
  record(y, {x}, [from = x.dtype(), layout = x.layout()](const Tensor& dy) -> std::vector<Gradient> {
    const Tensor dx = Tensor::empty(dy.device(), dy.shape(), from, layout);
    convert(dy, dx);
    return {dx};
  });
  return y;
}

Tensor clone(const Tensor& x) {
  const Tensor y = Tensor::empty(x.device(), x.shape(), x.dtype(), x.layout());
  convert(x, y);
  return y;
}

}  // namespace unet::engine
