#include "engine/softmax_cross_entropy.h"

#include "engine/autograd.h"

namespace unet::engine {
namespace {

template <class T>
void run(const Tensor& x, const Tensor& labels, const Tensor& weights, LossNormalization normalization,
         const Tensor& loss, const Tensor& dx, double scale) {
  kernels::run(x.device()->context(),
               kernels::SoftmaxCrossEntropy<T>{.x = x.view<T>(),
                                               .labels = labels.view<int32_t>(),
                                               .weights = weights ? weights.view<float>() : View<const float>{},
                                               .loss = loss.mutable_view<T>(),
                                               .dx = dx ? dx.mutable_view<T>() : View<T>{},
                                               .normalization = normalization,
                                               .scale = scale});
}

}  // namespace

Tensor softmax_cross_entropy(const Tensor& x, const Tensor& labels, const Tensor& weights,
                             LossNormalization normalization) {
  const auto compute = [&]<class T>() {
    const Tensor loss = Tensor::empty(x.device(), Shape{1}, x.dtype());
    run<T>(x, labels, weights, normalization, loss, {}, 1);
    // The scale of the gradient is known only in the backward pass; a second look at two scores a pixel costs less
    // than multiplying a stored gradient.
    record(loss, {x}, [=, scores = x.detach()](const Tensor& dy, bool) -> std::vector<Gradient> {
      const Tensor dx = Tensor::empty(scores.device(), scores.shape(), scores.dtype(), scores.layout());
      const Tensor unused = Tensor::empty(scores.device(), Shape{1}, scores.dtype());
      run<T>(scores, labels, weights, normalization, unused, dx, dy.item());
      return {dx};
    });
    return loss;
  };
  return x.dtype() == DType::f64 ? compute.template operator()<double>() : compute.template operator()<float>();
}

}  // namespace unet::engine
