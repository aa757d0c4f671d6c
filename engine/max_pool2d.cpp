#include "engine/max_pool2d.h"

#include "engine/autograd.h"
#include "kernels/max_pool2d.h"

namespace unet::engine {
namespace {

/// What the backward pass needs.
struct Saved {
  Tensor code;
  Tensor mask;  // x where its gradient is to leave masked
  Shape shape;  // of x
  Layout layout = Layout::nhwc;
  std::shared_ptr<Node> below;  // of x
};

template <class T>
Gradient gradient(const Saved& saved, const Tensor& dy) {
  Gradient dx(Tensor::empty(dy.device(), saved.shape, dy.dtype(), saved.layout));
  kernels::MaxPool2dBackward<T> operation{
      .code = saved.code.view<uint8_t>(), .dy = dy.view<T>(), .dx = dx.value.mutable_view<T>()};
  const Gradient skip = take_pending(saved.below.get());  // a U-Net's skip connection
  if (skip.value) {
    operation.skip = skip.value.view<T>();
    operation.skip_top = skip.top, operation.skip_left = skip.left;
  }
  if (saved.mask) operation.relu_y = saved.mask.view<T>();
  kernels::run(dy.device()->context(), operation);
  dx.masked = static_cast<bool>(saved.mask);
  return dx;
}

}  // namespace

Tensor max_pool2d(const Tensor& x) {
  const Shape out{x.shape().n(), x.shape().h() / 2, x.shape().w() / 2, x.shape().c()};
  const Tensor y = Tensor::empty(x.device(), out, x.dtype(), x.layout());
  const bool differentiable = x.device()->recording() && needs_gradient(x);
  const Tensor code = differentiable ? Tensor::empty(x.device(), out, DType::u8, x.layout()) : Tensor{};
  dispatch_float("max_pool2d", x.dtype(), [&]<class T>() {
    kernels::run(
        x.device()->context(),
        kernels::MaxPool2d<T>{
            .x = x.view<T>(), .y = y.mutable_view<T>(), .code = code ? code.mutable_view<uint8_t>() : View<uint8_t>{}});
  });
  record_max_pool2d(x, y, code);
  return y;
}

void record_max_pool2d(const Tensor& x, const Tensor& y, const Tensor& code) {
  const Saved saved{.code = code,
                    .mask = wants_masked_gradient(x) ? x.detach() : Tensor{},
                    .shape = x.shape(),
                    .layout = x.layout(),
                    .below = x.node()};
  dispatch_float("max_pool2d", x.dtype(), [&]<class T>() {
    record(y, {x}, [saved](const Tensor& dy, bool) -> std::vector<Gradient> { return {gradient<T>(saved, dy)}; });
  });
}

}  // namespace unet::engine
