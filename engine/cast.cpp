#include "engine/cast.h"

#include "engine/autograd.h"
#include "kernels/cast.h"

namespace unet::engine {
namespace {

template <class From, class To>
void run(const Tensor& x, const Tensor& y) {
  kernels::run(x.device()->context(), kernels::Cast<From, To>{.x = x.view<From>(), .y = y.mutable_view<To>()});
}

}  // namespace

void copy(const Tensor& x, const Tensor& to) {
  const auto is = [&](DType from, DType type) { return x.dtype() == from && to.dtype() == type; };
  if (is(DType::f32, DType::f32)) return run<float, float>(x, to);
  if (is(DType::f32, DType::bf16)) return run<float, bf16>(x, to);
  if (is(DType::bf16, DType::f32)) return run<bf16, float>(x, to);
  if (is(DType::bf16, DType::bf16)) return run<bf16, bf16>(x, to);
  if (is(DType::f32, DType::f64)) return run<float, double>(x, to);
  if (is(DType::f64, DType::f32)) return run<double, float>(x, to);
  if (is(DType::f64, DType::f64)) return run<double, double>(x, to);
  if (is(DType::u8, DType::f32)) return run<uint8_t, float>(x, to);
  if (is(DType::u8, DType::u8)) return run<uint8_t, uint8_t>(x, to);
  if (is(DType::i32, DType::i32)) return run<int32_t, int32_t>(x, to);
  throw TypeError(concat("cast: no conversion from ", name_of(x.dtype()), " to ", name_of(to.dtype())));
}

Tensor cast(const Tensor& x, DType dtype) {
  const Layout preferred = kernels::preferred_layout(x.device()->target(), x.shape().c());
  if (x.dtype() == dtype && x.layout() == preferred) return x;
  const Tensor y = Tensor::empty(x.device(), x.shape(), dtype, preferred);
  copy(x, y);
  record(y, {x}, [from = x.dtype(), layout = x.layout()](const Tensor& dy, bool) -> std::vector<Gradient> {
    const Tensor dx = Tensor::empty(dy.device(), dy.shape(), from, layout);
    copy(dy, dx);
    return {dx};
  });
  return y;
}

Tensor clone(const Tensor& x) {
  const Tensor y = Tensor::empty(x.device(), x.shape(), x.dtype(), x.layout());
  copy(x, y);
  return y;
}

}  // namespace unet::engine
