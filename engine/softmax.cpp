#include "engine/softmax.h"

#include "kernels/softmax.h"

namespace unet::engine {

Tensor softmax(const Tensor& x) {
  const Tensor y = Tensor::empty(x.device(), x.shape(), x.dtype(), x.layout());
  const auto run = [&]<class T>() {
    kernels::run(x.device()->context(), kernels::Softmax<T>{.x = x.view<T>(), .y = y.mutable_view<T>()});
  };
  if (x.dtype() == DType::f64) {
    run.template operator()<double>();
  } else {
    run.template operator()<float>();
  }
  return y;
}

}  // namespace unet::engine
