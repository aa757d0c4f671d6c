#include "kernels/fill.h"

#include "kernels/reference/loops.h"

namespace unet::kernels {

template <class T>
void execute(Reference, const Context&, const Fill<T>& op) {
  reference::for_each_element(op.y, [&](auto... at) { op.y(at...) = op.value; });
  reference::clear_padding(op.y);
}

template void execute(Reference, const Context&, const Fill<float>&);
template void execute(Reference, const Context&, const Fill<bf16>&);
template void execute(Reference, const Context&, const Fill<double>&);
template void execute(Reference, const Context&, const Fill<uint8_t>&);
template void execute(Reference, const Context&, const Fill<int32_t>&);

}  // namespace unet::kernels
