#include "kernels/crop_concat.h"

#include "kernels/reference/loops.h"

namespace unet::kernels {

template <class T>
void execute(Reference, const Context&, const CropConcat<T>& op) {
  reference::for_each_element(op.y, [&](int64_t n, int64_t h, int64_t w, int64_t c) {
    op.y(n, h, w, c) = c < op.x.c ? op.x(n, h, w, c) : op.x2(n, h, w, c - op.x.c);
  });
  reference::clear_padding(op.y);
}

template <class T>
void execute(Reference, const Context&, const CropConcatBackward<T>& op) {
  if (op.dx) {
    reference::for_each_element(op.dx, [&](auto... at) { op.dx(at...) = op.dy(at...); });
    reference::clear_padding(op.dx);
  }
  if (op.dx2) {
    reference::for_each_element(
        op.dx2, [&](int64_t n, int64_t h, int64_t w, int64_t c) { op.dx2(n, h, w, c) = op.dy(n, h, w, op.c1 + c); });
    reference::clear_padding(op.dx2);
  }
}

template void execute(Reference, const Context&, const CropConcat<float>&);
template void execute(Reference, const Context&, const CropConcat<bf16>&);
template void execute(Reference, const Context&, const CropConcat<double>&);
template void execute(Reference, const Context&, const CropConcatBackward<float>&);
template void execute(Reference, const Context&, const CropConcatBackward<bf16>&);
template void execute(Reference, const Context&, const CropConcatBackward<double>&);

}  // namespace unet::kernels
