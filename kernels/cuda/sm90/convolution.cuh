// Convolutions on the tensor cores of compute capability 9.0: see implicit_gemm.cuh for the kernel.
#pragma once

#include <vector>

#include "kernels/cuda/convolution.cuh"

namespace unet::kernels::gpu::sm90 {

/// A way to compute a product. With another number of splits the order of its sums is another.
struct Plan {
  int tile = 0;               // of Tiles
  int height = 0, width = 0;  // of a patch of the image, pixels
  int splits = 1;             // parts of the depth, added by a second kernel
  double cycles = 0;          // estimate
};

/// Every way to compute it here, the most promising first. There is none unless the device is of capability 9.0 and the
/// build has machine code for it; factors are bf16, or f32 with context.tf32, and results of the same type; the stride
/// is 1, or taps do not overlap as those of a transposed convolution; sources and column ranges have channels that fill
/// 128 bytes at least, and all their pixels are aligned to 16 bytes.
template <class T>
std::vector<Plan> plans(const Context& context, const Convolution<T, T>& convolution);

/// The first of plans(); false where there is none.
template <class T>
bool choose(const Context& context, const Convolution<T, T>& convolution, Plan& plan);

/// Products of bf16, or of f32 rounded to tf32; sums in f32. `plan` is one of plans(). The choice rests on the shapes
/// and the device alone, and with ConvolutionMode::direct the order of sums on channels and taps alone. Throws
/// OutOfMemory, DeviceError.
template <class T>
void convolve(const Context& context, const Convolution<T, T>& convolution, const Plan& plan);

}  // namespace unet::kernels::gpu::sm90
