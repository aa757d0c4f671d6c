// Initial values of parameters.
#pragma once

#include "engine/tensor.h"
#include "kernels/philox.h"

namespace unet::engine {

/// Fills t with N(0, 2/fan_in) by counter-based random numbers: the same on every target and for any thread count.
/// fan_in is the number of incoming nodes of one neuron (R*S*C for a convolution).
/// Source: He et al. 2015; Ronneberger et al. 2015, section 3.
void he_normal(const Tensor& t, double fan_in, const kernels::PhiloxKey& key);

}  // namespace unet::engine
