#include "engine/conv2d.h"

#include "engine/autograd.h"
#include "engine/max_pool2d.h"
#include "kernels/conv2d.h"

namespace unet::engine {
namespace {

/// x2 cropped to the centre of x's size; empty where there is no x2.
template <class T>
View<const T> cropped(const Tensor& x2, const Tensor& x) {
  return x2 ? x2.view<T>().centre_crop(x.shape().h(), x.shape().w()) : View<const T>{};
}

struct Result {
  Tensor y;
  Tensor pooled, code;  // where options.pooled asks for them; the code where gradients may flow
};

template <class T>
Result forward(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dOptions& options) {
  using A = Accumulate<T>;
  const auto& device = x.device();
  const Shape out{x.shape().n(), x.shape().h() - w.shape().h() + 1, x.shape().w() - w.shape().w() + 1, w.shape().n()};
  Result result{.y = empty_image(device, out, options.wide_output ? DTypeOf<A>::value : DTypeOf<T>::value)};
  const Tensor& y = result.y;
  // A training step uses a packed filter once: only inference keeps it.
  kernels::Conv2d<T> operation{.x = x.view<T>(),
                               .x2 = cropped<T>(options.x2, x),
                               .w = w.view<A>(),
                               .b = b ? b.view<A>() : View<const A>{},
                               .y = options.wide_output ? View<T>{} : y.mutable_view<T>(),
                               .y_wide = options.wide_output ? y.mutable_view<A>() : View<A>{},
                               .relu = options.relu,
                               .cache = device->recording() ? nullptr : &w.filter_cache()};
  if (options.pooled != nullptr) {
    const Shape half{out.n(), out.h() / 2, out.w() / 2, out.c()};
    result.pooled = Tensor::empty(device, half, y.dtype(), y.layout());
    operation.pooled = result.pooled.mutable_view<T>();
    if (device->recording()) {
      result.code = Tensor::empty(device, half, DType::u8, y.layout());
      operation.pool_code = result.code.mutable_view<uint8_t>();
    }
  }
  kernels::run(device->context(), operation);
  return result;
}

/// What the backward pass needs.
struct Saved {
  Tensor x, x2, w, b;
  Tensor y;  // where ReLU was on
  bool wide_output = false;
  bool mask_x = false, mask_x2 = false;  // the gradients leave masked
};

template <class T>
std::vector<Gradient> gradients(const Saved& saved, const Tensor& dy, bool masked) {
  using A = Accumulate<T>;
  const auto& [x, x2, w, b, y, wide_output, mask_x, mask_x2] = saved;
  const auto& device = x.device();
  const auto empty_like = [&](const Tensor& t, const Shape& shape) {
    return needs_gradient(t) ? Tensor::empty(device, shape, t.dtype(), t.layout()) : Tensor{};
  };
  const Tensor dx = empty_like(x, x.shape());
  const Tensor dx2 = x2 ? empty_like(x2, Shape{x.shape().n(), x.shape().h(), x.shape().w(), x2.shape().c()}) : Tensor{};
  const Tensor dw = empty_like(w, w.shape());
  const Tensor db = empty_like(b, b ? b.shape() : Shape{});
  kernels::run(device->context(), kernels::Conv2dBackward<T>{.x = x.view<T>(),
                                                             .x2 = cropped<T>(x2, x),
                                                             .w = w.view<A>(),
                                                             .y = y && !masked ? y.view<T>() : View<const T>{},
                                                             .dy = wide_output ? View<T>{} : dy.mutable_view<T>(),
                                                             .dy_wide = wide_output ? dy.view<A>() : View<const A>{},
                                                             .dx = dx ? dx.mutable_view<T>() : View<T>{},
                                                             .dx2 = dx2 ? dx2.mutable_view<T>() : View<T>{},
                                                             .dw = dw ? dw.mutable_view<A>() : View<A>{},
                                                             .db = db ? db.mutable_view<A>() : View<A>{},
                                                             .relu_x = mask_x,
                                                             .relu_x2 = mask_x2});
  Gradient image(dx), skip(dx2);
  image.masked = mask_x, skip.masked = mask_x2;
  if (dx2) {
    skip.top = (x2.shape().h() - x.shape().h()) / 2;
    skip.left = (x2.shape().w() - x.shape().w()) / 2;
  }
  return {image, skip, dw, db};
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dOptions& options) {
  if (options.wide_output && (options.relu || options.pooled != nullptr)) {
    throw ConfigError(concat("conv2d: expected ", options.relu ? "relu" : "pooled", " or wide_output, got both; apply ",
                             options.relu ? "relu()" : "max_pool2d()", " to the wide result"));
  }
  if (w.shape().h() > x.shape().h() || w.shape().w() > x.shape().w()) {
    throw ShapeError(concat("conv2d: expected an image of at least the filter's size, got image ", x.shape().text(),
                            " and filter ", w.shape().text()));
  }
  return dispatch_float("conv2d", x.dtype(), [&]<class T>() {
    const auto [y, pooled, code] = forward<T>(x, w, b, options);
    const Saved saved{.x = x,
                      .x2 = options.x2,
                      .w = w,
                      .b = b,
                      .y = options.relu ? y.detach() : Tensor{},
                      .wide_output = options.wide_output && DTypeOf<Accumulate<T>>::value != DTypeOf<T>::value,
                      .mask_x = wants_masked_gradient(x),
                      .mask_x2 = wants_masked_gradient(options.x2)};
    record(
        y, {x, options.x2, w, b}, [saved](const Tensor& dy, bool masked) { return gradients<T>(saved, dy, masked); },
        options.relu);
    if (options.pooled != nullptr) {
      record_max_pool2d(y, pooled, code);
      *options.pooled = pooled;
    }
    return y;
  });
}

}  // namespace unet::engine
