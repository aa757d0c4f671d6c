// The plain operations that the fused ones of conv2d.h equal, bit for bit: for targets that do not fuse them.
#pragma once

#include <optional>

#include "kernels/conv2d.h"
#include "kernels/max_pool2d.h"
#include "kernels/relu.h"

namespace unet::kernels {

/// Convolution, then pooling. `o.pooled` is given; a y that is not wanted lies in scratch memory meanwhile.
template <class Target, class T>
void execute_then_pool(Target target, const Context& context, const Conv2d<T>& o) {
  Conv2d<T> convolution = o;
  convolution.pooled = {};
  convolution.pool_code = {};
  std::optional<Scratch<T>> memory;
  if (!o.y) {
    const int64_t n = o.x.n, h = o.x.h - o.w.h + 1, w = o.x.w - o.w.w + 1, k = o.w.n;
    memory.emplace(*context.workspace, n * h * w * (o.pooled.is_blocked() ? round_up(k, kChannelBlock) : k));
    convolution.y = o.pooled.is_blocked() ? View<T>::blocked(memory->data(), n, h, w, k)
                                          : View<T>::nhwc(memory->data(), n, h, w, k);
  }
  execute(target, context, convolution);
  execute(target, context, MaxPool2d<T>{.x = convolution.y, .y = o.pooled, .code = o.pool_code});
}

/// Gradients of a convolution, then those of the ReLUs in front of it.
template <class Target, class T>
void execute_then_mask(Target target, const Context& context, const Conv2dBackward<T>& o) {
  Conv2dBackward<T> gradients = o;
  gradients.relu_x = gradients.relu_x2 = false;
  execute(target, context, gradients);
  if (o.relu_x && o.dx) execute(target, context, ReluBackward<T>{.y = o.x, .dy = o.dx, .dx = o.dx});
  if (o.relu_x2 && o.dx2) execute(target, context, ReluBackward<T>{.y = o.x2, .dy = o.dx2, .dx = o.dx2});
}

}  // namespace unet::kernels
