#include "kernels/relu.h"

#include "kernels/reference/loops.h"

namespace unet::kernels {

template <class T>
void execute(Reference, const Context&, const Relu<T>& op) {
  reference::for_each_element(op.y, [&](auto... at) {
    const T x = op.x(at...);
    op.y(at...) = x <= T(0) ? T(0) : x;
  });
  reference::clear_padding(op.y);
}

template <class T>
void execute(Reference, const Context&, const ReluBackward<T>& op) {
  reference::for_each_element(op.dx, [&](auto... at) { op.dx(at...) = op.y(at...) > T(0) ? op.dy(at...) : T(0); });
  reference::clear_padding(op.dx);
}

template void execute(Reference, const Context&, const Relu<float>&);
template void execute(Reference, const Context&, const Relu<bf16>&);
template void execute(Reference, const Context&, const Relu<double>&);
template void execute(Reference, const Context&, const ReluBackward<float>&);
template void execute(Reference, const Context&, const ReluBackward<bf16>&);
template void execute(Reference, const Context&, const ReluBackward<double>&);

}  // namespace unet::kernels
