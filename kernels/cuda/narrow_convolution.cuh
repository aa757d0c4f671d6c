// Convolutions without enough channels for a matrix product: of an image of one to four channels (a network's first
// layer, and the data gradient of its last) and to one to four channels (its last layer). Bound by memory.
#pragma once

#include "kernels/cuda/convolution.cuh"

namespace unet::kernels::gpu {

inline constexpr int kFewChannels = 4, kFewColumns = 4, kFewTerms = 64;

/// One source of few channels, stride 1, at most kFewTerms products a sum.
template <class T, class O>
bool has_few_channels(const Convolution<T, O>& c) {
  return !c.x2 && !c.pooled && c.stride == 1 && c.x.c <= kFewChannels && c.taps_h * c.taps_w * c.x.c <= kFewTerms;
}

/// One source, 1x1, few columns.
template <class T, class O>
bool has_few_columns(const Convolution<T, O>& c) {
  return !c.x2 && !c.pooled && c.stride == 1 && c.taps_h * c.taps_w == 1 && c.columns <= kFewColumns && c.x.c <= 2048 &&
         c.ranges == 1;
}

/// Convolves x, which takes the place of c.x and may be wider than T. The filter is rounded to T, sums are f32.
template <class X, class T, class O>
void convolve_few_channels(const Context& context, const View<const X>& x, const Convolution<T, O>& c);

template <class T, class O>
void convolve_few_columns(const Context& context, const Convolution<T, O>& c);

}  // namespace unet::kernels::gpu
