#include "kernels/softmax.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference/loops.h"

namespace unet::kernels {

template <class T>
void execute(Reference, const Context& context, const Softmax<T>& op) {
  const Scratch<double> e(*context.workspace, op.x.c);
  View<const T> pixels = op.x;
  pixels.c = 1;
  reference::for_each_element(pixels, [&](int64_t n, int64_t h, int64_t w, int64_t) {
    double highest = op.x(n, h, w, 0), sum = 0;
    for (int64_t k = 1; k < op.x.c; ++k) highest = std::max<double>(highest, op.x(n, h, w, k));
    for (int64_t k = 0; k < op.x.c; ++k) sum += e[k] = std::exp(op.x(n, h, w, k) - highest);
    for (int64_t k = 0; k < op.x.c; ++k) op.y(n, h, w, k) = static_cast<T>(e[k] / sum);
  });
  reference::clear_padding(op.y);
}

template void execute(Reference, const Context&, const Softmax<float>&);
template void execute(Reference, const Context&, const Softmax<double>&);

}  // namespace unet::kernels
