// Convolutions on the tensor cores of compute capability 9.0: see implicit_gemm.cuh for the kernel.
#pragma once

#include "kernels/cuda/convolution.cuh"

namespace unet::kernels::gpu::sm90 {

/// Whether convolve() takes it: a device of capability 9.0; bf16, or f32 with context.tf32, results of the same type;
/// stride 1, or taps without overlap as a transposed convolution has; sources and column ranges of channels that fill
/// 128 bytes at least, and all their pixels aligned to 16 bytes.
template <class T>
bool supports(const Context& context, const Convolution<T, T>& convolution);

/// Products of bf16, or of f32 rounded to tf32; sums in f32. The order of a sum depends on the shapes and the device
/// alone; with ConvolutionMode::direct on channels and taps alone. Throws OutOfMemory, DeviceError.
template <class T>
void convolve(const Context& context, const Convolution<T, T>& convolution);

}  // namespace unet::kernels::gpu::sm90
