#include "kernels/max_pool2d.h"

#include <cmath>

#include "kernels/reference/loops.h"

namespace unet::kernels {

template <class T>
void execute(Reference, const Context&, const MaxPool2d<T>& op) {
  reference::for_each_element(op.y, [&](int64_t n, int64_t i, int64_t j, int64_t c) {
    T best = op.x(n, 2 * i, 2 * j, c);
    int code = 0;
    for (int k = 1; k < 4; ++k) {
      const T x = op.x(n, 2 * i + k / 2, 2 * j + k % 2, c);
      if (x > best || (std::isnan(x) && !std::isnan(best))) best = x, code = k;
    }
    op.y(n, i, j, c) = best;
    if (op.code) op.code(n, i, j, c) = static_cast<uint8_t>(code);
  });
  reference::clear_padding(op.y);
  if (op.code) reference::clear_padding(op.code);
}

template <class T>
void execute(Reference, const Context&, const MaxPool2dBackward<T>& op) {
  reference::for_each_element(op.dx, [&](auto... at) { op.dx(at...) = T(0); });
  reference::for_each_element(op.dy, [&](int64_t n, int64_t i, int64_t j, int64_t c) {
    const int code = op.code(n, i, j, c);
    op.dx(n, 2 * i + code / 2, 2 * j + code % 2, c) = op.dy(n, i, j, c);
  });
  if (op.skip) {
    reference::for_each_element(op.skip, [&](int64_t n, int64_t i, int64_t j, int64_t c) {
      T& dx = op.dx(n, op.skip_top + i, op.skip_left + j, c);
      dx = dx + op.skip(n, i, j, c);
    });
  }
  if (op.relu_y) {
    reference::for_each_element(op.dx, [&](auto... at) {
      if (!(op.relu_y(at...) > T(0))) op.dx(at...) = T(0);
    });
  }
  reference::clear_padding(op.dx);
}

template void execute(Reference, const Context&, const MaxPool2d<float>&);
template void execute(Reference, const Context&, const MaxPool2d<bf16>&);
template void execute(Reference, const Context&, const MaxPool2d<double>&);
template void execute(Reference, const Context&, const MaxPool2dBackward<float>&);
template void execute(Reference, const Context&, const MaxPool2dBackward<bf16>&);
template void execute(Reference, const Context&, const MaxPool2dBackward<double>&);

}  // namespace unet::kernels
