#include "kernels/crop_concat.h"

#include "kernels/cuda/elementwise.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

/// Channels [first, first+count) of every pixel.
template <class T>
View<T> channels(View<T> v, int64_t first, int64_t count) {
  v.data += first;
  v.c = v.block = count;
  return v;
}

}  // namespace
}  // namespace gpu

// One copy per part: every element is read and written once, which is the least there is.
template <class T>
void execute(DeviceTarget, const Context& context, const CropConcat<T>& op) {
  gpu::require_channels_last(CropConcat<T>::kName, op.x, op.x2, op.y);
  gpu::map(context, gpu::Copy{}, op.x, gpu::channels(op.y, 0, op.x.c));
  gpu::map(context, gpu::Copy{}, op.x2, gpu::channels(op.y, op.x.c, op.x2.c));
}

template <class T>
void execute(DeviceTarget, const Context& context, const CropConcatBackward<T>& op) {
  gpu::require_channels_last(CropConcatBackward<T>::kName, op.dy, op.dx, op.dx2);
  if (op.dx) gpu::map(context, gpu::Copy{}, gpu::channels(op.dy, 0, op.c1), op.dx);
  if (op.dx2) gpu::map(context, gpu::Copy{}, gpu::channels(op.dy, op.c1, op.dy.c - op.c1), op.dx2);
}

template void execute(DeviceTarget, const Context&, const CropConcat<float>&);
template void execute(DeviceTarget, const Context&, const CropConcat<bf16>&);
template void execute(DeviceTarget, const Context&, const CropConcatBackward<float>&);
template void execute(DeviceTarget, const Context&, const CropConcatBackward<bf16>&);

}  // namespace unet::kernels
