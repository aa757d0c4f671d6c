#include "kernels/conv_transpose2d.h"

#include "kernels/cuda/convolution.cuh"
#include "kernels/cuda/filter_gradient.cuh"
#include "kernels/cuda/mask_gradient.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

// The four phases (a,d) of y, at rows 2i+a and columns 2j+d, as one 1x1 convolution to 4K columns, each phase stored to
// pixels of its own.
template <class T>
Convolution<T, T> forward_of(const ConvTranspose2d<T>& o) {
  const int64_t c = o.w.c, k = o.w.n;
  Convolution<T, T> convolution{
      .x = o.x,
      .filter = {.w = o.w.data, .period = k, .period_stride = c, .column_stride = 4 * c, .channel_stride = 1},
      .b = o.b.data,
      .relu = o.relu,
      .columns = static_cast<int>(4 * k),
      .ranges = 4,
      .cache = o.cache};
  for (int phase = 0; phase < 4; ++phase) {
    View<T> y = o.y;
    y.data += phase / 2 * y.stride_h + phase % 2 * y.stride_w;
    y.h /= 2, y.w /= 2, y.stride_h *= 2, y.stride_w *= 2;
    convolution.range[phase] = {.begin = phase * static_cast<int>(k), .out = y};
  }
  return convolution;
}

// dx as a 2x2 convolution of g with stride 2.
template <class T>
Convolution<T, T> backward_data_of(const ConvTranspose2dBackward<T>& o, const View<const T>& g) {
  const int64_t c = o.w.c;
  Convolution<T, T> convolution{
      .x = g,
      .taps_h = 2,
      .taps_w = 2,
      .stride = 2,
      .filter = {.w = o.w.data, .period = c, .column_stride = 1, .tap_stride = c, .channel_stride = 4 * c},
      .columns = static_cast<int>(c),
      .cache = o.cache};
  convolution.range[0].out = o.dx;
  return convolution;
}

}  // namespace
}  // namespace gpu

template <class T>
void execute(DeviceTarget, const Context& context, const ConvTranspose2d<T>& o) {
  gpu::require_channels_last(ConvTranspose2d<T>::kName, o.x, o.y);
  gpu::require_countable(ConvTranspose2d<T>::kName, o.x, o.w);
  gpu::convolve(context, gpu::forward_of(o));
}

template <class T>
void execute(DeviceTarget, const Context& context, const ConvTranspose2dBackward<T>& o) {
  gpu::require_channels_last(ConvTranspose2dBackward<T>::kName, o.x, o.y, o.dy, o.dx);
  gpu::require_countable(ConvTranspose2dBackward<T>::kName, o.x, o.w);
  const View<const T> g = o.dy;
  if (o.y) gpu::mask_gradient<T, T>(context, o.y, g, o.dy);
  if (o.dw || o.db) {
    gpu::filter_gradient(context, gpu::FilterGradient<T>{.x = o.x, .g = g, .dw = o.dw, .db = o.db, .transposed = true});
  }
  if (o.dx) gpu::convolve(context, gpu::backward_data_of(o, g));
}

template void execute(DeviceTarget, const Context&, const ConvTranspose2d<float>&);
template void execute(DeviceTarget, const Context&, const ConvTranspose2d<bf16>&);
template void execute(DeviceTarget, const Context&, const ConvTranspose2dBackward<float>&);
template void execute(DeviceTarget, const Context&, const ConvTranspose2dBackward<bf16>&);

}  // namespace unet::kernels
