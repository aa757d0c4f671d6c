#include "kernels/add.h"

#include "kernels/reference/loops.h"

namespace unet::kernels {

template <class T>
void execute(Reference, const Context&, const Add<T>& op) {
  reference::for_each_element(op.y, [&](auto... at) { op.y(at...) = op.a(at...) + op.b(at...); });
  reference::clear_padding(op.y);
}

template void execute(Reference, const Context&, const Add<float>&);
template void execute(Reference, const Context&, const Add<bf16>&);
template void execute(Reference, const Context&, const Add<double>&);

}  // namespace unet::kernels
