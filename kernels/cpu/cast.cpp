#include "kernels/cast.h"

#include "kernels/cpu/rows.h"

namespace unet::kernels {
namespace {

template <class To, class From>
To convert(From x) {
  if constexpr (std::is_same_v<From, float> && std::is_same_v<To, int32_t>) {
    constexpr float lowest = -0x1p31F, highest = 0x1p31F - 128;  // the largest float below 2^31
    const float bounded = x < highest ? x : highest;
    return static_cast<int32_t>(x > lowest ? bounded : lowest);  // NaN > lowest is false
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace

template <class From, class To>
void execute(Cpu, const Context& context, const Cast<From, To>& op) {
  cpu::map_elements(
      context, [](From x) { return convert<To>(x); }, op.y, op.x);
}

#define UNET_INSTANTIATE(From, To) template void execute(Cpu, const Context&, const Cast<From, To>&);
UNET_FOR_EACH_CAST(UNET_INSTANTIATE)
#undef UNET_INSTANTIATE

}  // namespace unet::kernels
