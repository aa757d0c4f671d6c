// All that a kernel source needs besides its operation's header: the CUDA execution model, either the compiler's own
// or, with UNET_EMULATED, the emulator's. A source written against it is compiled by nvcc for the cuda target and by
// the host compiler for the emulated one.
//
// A kernel source
// * defines execute(DeviceTarget, ...) in unet::kernels and everything else in unet::kernels::gpu;
// * launches through launch(), declares shared memory by UNET_SHARED and dynamic_shared(), and has inline PTX nowhere
//   but in ptx.cuh and sm90/ptx.cuh;
// * calls nothing but __device__ and UNET_HOST_DEVICE functions from kernels: no std:: algorithms;
// * waits neither for flags nor between blocks, and never uses __activemask.
#pragma once

#include "kernels/context.h"

#if defined(UNET_EMULATED)
#include "kernels/emulated/device.h"
#else
#include <cuda_runtime.h>

#include <utility>

#include "kernels/cuda/state.h"

static_assert(__cplusplus >= 202002L, "kernels are C++20: give nvcc -std=c++20");

/// Declares `name`, a reference to an object of type T in the block's shared memory: UNET_SHARED(float[32], sums).
#define UNET_SHARED(T, name) __shared__ typename ::unet::kernels::gpu::Identity<T>::type name
#endif

namespace unet::kernels {
#if defined(UNET_EMULATED)
using DeviceTarget = Emulated;
#else
using DeviceTarget = Cuda;
#endif
}  // namespace unet::kernels

#if !defined(UNET_EMULATED)
namespace unet::kernels::gpu {

template <class T>
struct Identity {
  using type = T;
};

/// The block's dynamic shared memory, aligned to 16 bytes; kernels that need more align it themselves.
template <class T = unsigned char>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char unet_dynamic_shared[];
  return reinterpret_cast<T*>(unet_dynamic_shared);
}

struct LaunchShape {
  dim3 grid, block;
  size_t shared_bytes = 0;  // dynamic shared memory
};

/// Lets a kernel have so much dynamic shared memory: beyond 48 KiB, static memory included, it must be asked for. A
/// kernel that was given more keeps it, for a recorded launch may still want it.
inline void permit_shared_memory(const void* kernel, size_t bytes) {
  constexpr size_t kSurelyPermitted = size_t{32} << 10;  // none of these kernels has 16 KiB of static memory
  if (bytes <= kSurelyPermitted) return;
  cudaFuncAttributes attributes{};
  cuda::require(cudaFuncGetAttributes(&attributes, kernel), "a kernel");
  if (static_cast<int>(bytes) < attributes.maxDynamicSharedSizeBytes) return;
  cuda::require(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
                "shared memory of a kernel");
}

/// Starts a kernel in the context's stream. Throws DeviceError where the device refuses it.
template <class... Parameters, class... Arguments>
void launch(const Context& context, void (*kernel)(Parameters...), const LaunchShape& shape, Arguments&&... arguments) {
  permit_shared_memory(reinterpret_cast<const void*>(kernel), shape.shared_bytes);
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = cuda::state_of(context).stream();
  cuda::require(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(std::forward<Arguments>(arguments))...),
                "kernel launch");
}

/// What launchers choose by: capability, multiprocessors, shared memory.
inline const DeviceInfo& device_info(const Context& context) { return cuda::state_of(context).device(); }

/// Where kernels report unusable input; pass it to report_bad_pixel.
inline unsigned long long* bad_pixel(const Context& context) { return cuda::state_of(context).bad_pixel(); }

}  // namespace unet::kernels::gpu
#endif

#include "kernels/cuda/ptx.cuh"

namespace unet::kernels::gpu {

/// Records that the input at image n, row h, column w cannot be used; the first in that order is kept. The next
/// TargetState::synchronize() or download() throws DataError.
__device__ inline void report_bad_pixel(unsigned long long* record, int64_t n, int64_t h, int64_t w) {
  atomicMin(record, static_cast<unsigned long long>(n << 48 | h << 24 | w));
}

/// Throws TypeError where a view that is present is blocked: kernels take channels last only.
template <class... Ts>
void require_channels_last(const char* op, const View<Ts>&... views) {
  const auto require = [&](const auto& v) {
    if (!v || v.is_nhwc()) return;
    throw TypeError(concat(op, ": expected operands that are channels last on a device, got a blocked one, ",
                           v.shape_text(), "; convert it by Cast on a host target"));
  };
  (require(views), ...);
}

}  // namespace unet::kernels::gpu
