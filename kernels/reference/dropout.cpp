#include "kernels/dropout.h"

#include "kernels/reference/loops.h"

namespace unet::kernels {

template <class T>
void execute(Reference, const Context&, const Dropout<T>& op) {
  const PhiloxKey key = op.key_now();
  uint64_t i = 0;
  reference::for_each_element(op.y, [&](auto... at) {
    const bool keep = uniform(philox(key, i / 4).word[i % 4]) >= op.p;
    op.y(at...) = keep ? static_cast<T>(op.x(at...) / (1 - op.p)) : T(0);
    ++i;
  });
  reference::clear_padding(op.y);
}

template void execute(Reference, const Context&, const Dropout<float>&);
template void execute(Reference, const Context&, const Dropout<bf16>&);
template void execute(Reference, const Context&, const Dropout<double>&);

}  // namespace unet::kernels
