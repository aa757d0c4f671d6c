// The gradient in front of a ReLU that a convolution applied to its result.
#pragma once

#include "kernels/cuda/device.cuh"

namespace unet::kernels::gpu {

/// g = dy * [y > 0], all [N,P,Q,K] and channels last. g may be dy. (T, G): (float, float), (bf16, bf16), (bf16, float).
template <class T, class G>
void mask_gradient(const Context& context, const View<const T>& y, const View<const G>& dy, const View<G>& g);

}  // namespace unet::kernels::gpu
