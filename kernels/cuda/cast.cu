#include "kernels/cast.h"

#include "kernels/cuda/elementwise.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

template <class From, class To>
struct Convert {
  __device__ __forceinline__ To operator()(From x) const {
    if constexpr (std::is_same_v<From, float> && std::is_same_v<To, int32_t>) {
      constexpr float lowest = -0x1p31F, highest = 0x1p31F - 128;  // the largest float below 2^31
      const float bounded = x < highest ? x : highest;
      return static_cast<int32_t>(x > lowest ? bounded : lowest);  // NaN > lowest is false
    } else {
      return static_cast<To>(x);
    }
  }
};

}  // namespace
}  // namespace gpu

template <class From, class To>
void execute(DeviceTarget, const Context& context, const Cast<From, To>& op) {
  gpu::require_channels_last(Cast<From, To>::kName, op.x, op.y);
  gpu::map(context, gpu::Convert<From, To>{}, op.x, op.y);
}

#define UNET_INSTANTIATE(From, To) template void execute(DeviceTarget, const Context&, const Cast<From, To>&);
UNET_FOR_EACH_CAST(UNET_INSTANTIATE)
#undef UNET_INSTANTIATE

}  // namespace unet::kernels
