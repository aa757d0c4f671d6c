#include "engine/add.h"

#include "engine/autograd.h"
#include "engine/cast.h"
#include "kernels/add.h"

namespace unet::engine {

Tensor add(const Tensor& a, const Tensor& b) {
  return dispatch_float("add", a.dtype(), [&]<class T>() {
    const Tensor y = Tensor::empty(a.device(), a.shape(), a.dtype(), a.layout());
    kernels::run(a.device()->context(), kernels::Add<T>{.a = a.view<T>(), .b = b.view<T>(), .y = y.mutable_view<T>()});
    record(y, {a, b}, [](const Tensor& dy, bool) -> std::vector<Gradient> { return {dy, clone(dy)}; });
    return y;
  });
}

}  // namespace unet::engine
