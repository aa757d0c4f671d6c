// The prelude of kernel sources that are compiled for the emulated target: CUDA's keywords, built-in variables and
// functions, by their names, without the CUDA toolkit. Included by kernels/cuda/device.cuh alone.
#pragma once

#include "kernels/emulated/memory_calls.h"

#include <type_traits>
#include <utility>

#include "kernels/emulated/intrinsics.h"
#include "kernels/emulated/models.h"
#include "kernels/emulated/runtime.h"
#include "kernels/emulated/state.h"
#include "kernels/emulated/vector_types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ static_assert(false, "shared memory is declared by UNET_SHARED and dynamic_shared()");

#define threadIdx (::unet::kernels::emulated::thread_index())
#define blockIdx (::unet::kernels::emulated::block_index())
#define blockDim (::unet::kernels::emulated::block_extent())
#define gridDim (::unet::kernels::emulated::grid_extent())
#define warpSize 32

/// Declares `name`, a reference to an object of type T in the block's shared memory: UNET_SHARED(float[32], sums).
#define UNET_SHARED(T, name) auto& name = ::unet::kernels::emulated::shared_object<std::type_identity_t<T>>([] {})

using unet::kernels::emulated::dim3;
using unet::kernels::emulated::float2;
using unet::kernels::emulated::float3;
using unet::kernels::emulated::float4;
using unet::kernels::emulated::int2;
using unet::kernels::emulated::int3;
using unet::kernels::emulated::int4;
using unet::kernels::emulated::longlong2;
using unet::kernels::emulated::uchar2;
using unet::kernels::emulated::uchar4;
using unet::kernels::emulated::uint2;
using unet::kernels::emulated::uint3;
using unet::kernels::emulated::uint4;
using unet::kernels::emulated::ulonglong2;
using unet::kernels::emulated::ushort2;
using unet::kernels::emulated::ushort4;

using unet::kernels::emulated::make_float2;
using unet::kernels::emulated::make_float3;
using unet::kernels::emulated::make_float4;
using unet::kernels::emulated::make_int2;
using unet::kernels::emulated::make_int3;
using unet::kernels::emulated::make_int4;
using unet::kernels::emulated::make_longlong2;
using unet::kernels::emulated::make_uchar2;
using unet::kernels::emulated::make_uchar4;
using unet::kernels::emulated::make_uint2;
using unet::kernels::emulated::make_uint3;
using unet::kernels::emulated::make_uint4;
using unet::kernels::emulated::make_ulonglong2;
using unet::kernels::emulated::make_ushort2;
using unet::kernels::emulated::make_ushort4;

namespace unet::kernels::emulated {

/// The block's object of this declaration: every one has a lambda, and so a static variable, of its own.
template <class T, class Declaration>
T& shared_object(Declaration /*declaration*/) {
  static constexpr char kDeclaration = 0;
  return *static_cast<T*>(static_shared(&kDeclaration, sizeof(T), alignof(T)));
}

}  // namespace unet::kernels::emulated

namespace unet::kernels::gpu {

template <class T>
struct Identity {
  using type = T;
};

template <class T = unsigned char>
__attribute__((always_inline)) inline T* dynamic_shared() {
  return static_cast<T*>(emulated::dynamic_shared());
}

struct LaunchShape {
  dim3 grid, block;
  size_t shared_bytes = 0;  // dynamic shared memory
  emulated::Site site = emulated::Site::here();
};

/// Executes the kernel, or records it while the state captures. Throws emulated::KernelDefect for what the checker
/// found, the shape included.
template <class... Parameters, class... Arguments>
void launch(const Context& context, void (*kernel)(Parameters...), const LaunchShape& shape, Arguments&&... arguments) {
  static_assert(!(std::is_reference_v<Parameters> || ...), "kernels take their parameters by value");
  // Reading the arguments is the launch's business, not an access of the kernel's.
  const auto call = [ kernel, ... copies = static_cast<Parameters>(std::forward<Arguments>(arguments)) ]()
      __attribute__((no_sanitize("thread"))) {
    kernel(copies...);
  };
  using Call = std::remove_const_t<decltype(call)>;
  emulated::state_of(context).launch(
      {shape.grid, shape.block, shape.shared_bytes, shape.site,
       [](const void* closure) __attribute__((no_sanitize("thread"))) { (*static_cast<const Call*>(closure))();
}
, std::make_shared<const Call>(call), sizeof(Call)
});
}

inline const DeviceInfo& device_info(const Context& context) { return emulated::state_of(context).device(); }
inline unsigned long long* bad_pixel(const Context& context) { return emulated::state_of(context).bad_pixel(); }

}  // namespace unet::kernels::gpu
