#include "engine/dropout.h"

#include "engine/autograd.h"
#include "kernels/dropout.h"

namespace unet::engine {

namespace {

template <class T>
void run(const Tensor& x, const Tensor& y, double p, const kernels::PhiloxKey& key, const Tensor& step) {
  kernels::Dropout<T> operation{.x = x.view<T>(), .y = y.mutable_view<T>(), .p = p, .key = key};
  if (step) operation.step = reinterpret_cast<const uint32_t*>(step.view<int32_t>().data);
  kernels::run(x.device()->context(), operation);
}

}  // namespace

Tensor dropout(const Tensor& x, double p, const kernels::PhiloxKey& key, const Tensor& step) {
  if (p == 0) return x;
  return dispatch_float("dropout", x.dtype(), [&]<class T>() {
    const Tensor y = Tensor::empty(x.device(), x.shape(), x.dtype(), x.layout());
    run<T>(x, y, p, key, step);
    record(y, {x}, [=](const Tensor& dy, bool) -> std::vector<Gradient> {
      run<T>(dy, dy, p, key, step);
      return {dy};
    });
    return y;
  });
}

}  // namespace unet::engine
