#include "kernels/softmax_cross_entropy.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "kernels/reference/loops.h"

namespace unet::kernels {

template <class T>
void execute(Reference, const Context& context, const SoftmaxCrossEntropy<T>& op) {
  const auto weight = [&](int64_t n, int64_t h, int64_t w) {
    const double value = op.weights ? op.weights(n, h, w, 0) : 1;
    return op.labels(n, h, w, 0) == kIgnoreLabel ? 0 : value;
  };

  double valid = 0, weight_sum = 0;
  reference::for_each_element(op.labels, [&](int64_t n, int64_t h, int64_t w, int64_t) {
    op.require_valid_pixel(n, h, w);
    valid += weight(n, h, w) > 0 ? 1 : 0;
    weight_sum += weight(n, h, w);
  });
  const double z = op.divisor(valid, weight_sum);

  const Scratch<double> e(*context.workspace, op.x.c);
  double loss = 0;
  reference::for_each_element(op.labels, [&](int64_t n, int64_t h, int64_t w, int64_t) {
    double highest = op.x(n, h, w, 0), sum = 0;
    for (int64_t k = 1; k < op.x.c; ++k) highest = std::max<double>(highest, op.x(n, h, w, k));
    for (int64_t k = 0; k < op.x.c; ++k) sum += e[k] = std::exp(op.x(n, h, w, k) - highest);

    const double weight_here = weight(n, h, w);
    const int64_t label = op.labels(n, h, w, 0);
    if (weight_here > 0) {
      const double p = e[label] / sum;
      loss -= weight_here * std::log(p < FLT_MIN ? FLT_MIN : p);
    }
    if (!op.dx) return;
    for (int64_t k = 0; k < op.x.c; ++k) {
      const double difference = e[k] / sum - (k == label ? 1 : 0);
      op.dx(n, h, w, k) = static_cast<T>(weight_here > 0 ? op.scale * weight_here * difference / z : 0);
    }
  });
  if (op.dx) reference::clear_padding(op.dx);
  *op.loss.data = static_cast<T>(loss / z);
}

template void execute(Reference, const Context&, const SoftmaxCrossEntropy<float>&);
template void execute(Reference, const Context&, const SoftmaxCrossEntropy<double>&);

}  // namespace unet::kernels
