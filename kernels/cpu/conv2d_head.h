// 1x1 convolutions to a few channels-last outputs, a network's class scores. oneDNN has no fast one between layouts.
#pragma once

#include "kernels/conv2d.h"

namespace unet::kernels::cpu {

/// True where execute_head() is the way to compute it: 1x1, one source, fewer than 16 outputs, not blocked.
template <class T>
bool is_head(const Conv2d<T>& o);
template <class T>
bool is_head(const Conv2dBackward<T>& o);

/// Sums run in f32 over channels in a fixed order; gradients of the filter over a row in f32, over rows in double.
template <class T>
void execute_head(const Context& context, const Conv2d<T>& o);
template <class T>
void execute_head(const Context& context, const Conv2dBackward<T>& o);

}  // namespace unet::kernels::cpu
