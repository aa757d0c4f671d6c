#include "kernels/mirror_gather.h"

#include "kernels/reference/loops.h"

namespace unet::kernels {

template <class T>
void execute(Reference, const Context&, const MirrorGather<T>& op) {
  reference::for_each_element(op.y, [&](int64_t n, int64_t h, int64_t w, int64_t c) {
    op.y(n, h, w, c) = static_cast<T>(op.x(n, mirror(op.top + h, op.x.h), mirror(op.left + w, op.x.w), c));
  });
  reference::clear_padding(op.y);
}

template void execute(Reference, const Context&, const MirrorGather<float>&);
template void execute(Reference, const Context&, const MirrorGather<bf16>&);
template void execute(Reference, const Context&, const MirrorGather<double>&);

}  // namespace unet::kernels
