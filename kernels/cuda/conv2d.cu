#include "kernels/conv2d.h"

#include <optional>

#include "kernels/cast.h"
#include "kernels/cuda/convolution.cuh"
#include "kernels/cuda/filter_gradient.cuh"
#include "kernels/cuda/mask_gradient.cuh"
#include "kernels/cuda/narrow_convolution.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

// y = act(b + w * cat(x, x2)), and its maxima.
template <class T, class O>
Convolution<T, O> forward_of(const Conv2d<T>& o, const View<O>& y) {
  const int64_t c = o.w.c, taps = o.w.h * o.w.w;
  Convolution<T, O> convolution{
      .x = o.x,
      .x2 = o.x2,
      .taps_h = static_cast<int>(o.w.h),
      .taps_w = static_cast<int>(o.w.w),
      .filter = {.w = o.w.data, .period = o.w.n, .column_stride = taps * c, .tap_stride = c, .channel_stride = 1},
      .b = o.b.data,
      .relu = o.relu,
      .columns = static_cast<int>(o.w.n),
      .cache = o.cache};
  // Without data where only the maxima are wanted.
  convolution.range[0].out = y ? y : View<O>::nhwc(nullptr, o.x.n, o.x.h - o.w.h + 1, o.x.w - o.w.w + 1, o.w.n);
  return convolution;
}

// dx and dx2 as one convolution of g with the flipped filter, padded so that every tap is there. Only the columns of
// gradients that are wanted are computed.
template <class T>
Convolution<T, T> backward_data_of(const Conv2dBackward<T>& o, const View<const T>& g) {
  const int64_t c = o.w.c, taps = o.w.h * o.w.w;
  Convolution<T, T> convolution{.x = g,
                                .taps_h = static_cast<int>(o.w.h),
                                .taps_w = static_cast<int>(o.w.w),
                                .pad_h = static_cast<int>(o.w.h - 1),
                                .pad_w = static_cast<int>(o.w.w - 1),
                                .filter = {.w = o.w.data + (taps - 1) * c + (o.dx ? 0 : o.x.c),
                                           .column_stride = 1,
                                           .tap_stride = -c,
                                           .channel_stride = taps * c},
                                .ranges = 0,
                                .cache = o.cache};
  const auto add = [&](const View<T>& dx, const View<const T>& x, bool relu) {
    convolution.range[convolution.ranges++] = {
        .begin = convolution.columns, .out = dx, .x = relu ? x : View<const T>{}};
    convolution.columns += static_cast<int>(dx.c);
  };
  if (o.dx) add(o.dx, o.x, o.relu_x);
  if (o.dx2) add(o.dx2, o.x2, o.relu_x2);
  convolution.filter.period = convolution.columns;
  return convolution;
}

// The same for a g in f32 that is not of type T: read as it is where the convolution is narrow, else rounded to T.
template <class T>
void backward_data_wide(const Context& context, const Conv2dBackward<T>& o, const View<const float>& g) {
  const auto narrow = backward_data_of(o, View<const T>::nhwc(nullptr, g.n, g.h, g.w, g.c));
  if (has_few_channels(narrow)) return convolve_few_channels(context, g, narrow);
  const Scratch<T> memory(*context.workspace, g.size());
  const auto rounded = View<T>::nhwc(memory.data(), g.n, g.h, g.w, g.c);
  execute(DeviceTarget{}, context, Cast<float, T>{.x = g, .y = rounded});
  convolve(context, backward_data_of(o, View<const T>(rounded)));
}

}  // namespace
}  // namespace gpu

template <class T>
void execute(DeviceTarget, const Context& context, const Conv2d<T>& o) {
  gpu::require_channels_last(Conv2d<T>::kName, o.x, o.x2, o.y, o.y_wide, o.pooled, o.pool_code);
  gpu::require_countable(Conv2d<T>::kName, o.x, o.x2, o.w);
  if (o.y_wide) return gpu::convolve(context, gpu::forward_of(o, o.y_wide));
  auto convolution = gpu::forward_of(o, o.y);
  convolution.pooled = o.pooled;
  convolution.pool_code = o.pool_code;
  gpu::convolve(context, convolution);
}

template <class T>
void execute(DeviceTarget, const Context& context, const Conv2dBackward<T>& o) {
  gpu::require_channels_last(Conv2dBackward<T>::kName, o.x, o.x2, o.y, o.dy, o.dy_wide, o.dx, o.dx2);
  gpu::require_countable(Conv2dBackward<T>::kName, o.x, o.x2, o.w);
  View<const T> g = o.dy;
  View<const float> g_wide = o.dy_wide;
  std::optional<Scratch<float>> masked;
  if (o.y && o.dy) gpu::mask_gradient<T, T>(context, o.y, o.dy, o.dy);
  if (o.y && o.dy_wide) {
    masked.emplace(*context.workspace, g_wide.size());
    const auto mine = View<float>::nhwc(masked->data(), g_wide.n, g_wide.h, g_wide.w, g_wide.c);
    gpu::mask_gradient<T, float>(context, o.y, g_wide, mine);
    g_wide = mine;
  }
  if constexpr (std::is_same_v<T, float>) {
    if (g_wide) std::swap(g, g_wide);
  }
  if (o.dw || o.db) {
    gpu::filter_gradient(
        context, gpu::FilterGradient<T>{.x = o.x, .x2 = o.x2, .g = g, .g_wide = g_wide, .dw = o.dw, .db = o.db});
  }
  if (!o.dx && !o.dx2) return;
  if (g_wide) {
    gpu::backward_data_wide(context, o, g_wide);
  } else {
    gpu::convolve(context, gpu::backward_data_of(o, g));
  }
}

template void execute(DeviceTarget, const Context&, const Conv2d<float>&);
template void execute(DeviceTarget, const Context&, const Conv2d<bf16>&);
template void execute(DeviceTarget, const Context&, const Conv2dBackward<float>&);
template void execute(DeviceTarget, const Context&, const Conv2dBackward<bf16>&);

}  // namespace unet::kernels
