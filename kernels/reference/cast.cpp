#include "kernels/cast.h"

#include <cmath>
#include <limits>

#include "kernels/reference/loops.h"

namespace unet::kernels {
namespace {

template <class To, class From>
To convert(From x) {
  if constexpr (std::is_same_v<From, float> && std::is_same_v<To, int32_t>) {
    constexpr float highest = 0x1p31F - 128;  // the largest float below 2^31
    if (std::isnan(x) || x <= -0x1p31F) return std::numeric_limits<int32_t>::min();
    return static_cast<int32_t>(x < highest ? x : highest);
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace

template <class From, class To>
void execute(Reference, const Context&, const Cast<From, To>& op) {
  reference::for_each_element(op.y, [&](auto... at) { op.y(at...) = convert<To>(op.x(at...)); });
  reference::clear_padding(op.y);
}

#define UNET_INSTANTIATE(From, To) template void execute(Reference, const Context&, const Cast<From, To>&);
UNET_FOR_EACH_CAST(UNET_INSTANTIATE)
UNET_FOR_EACH_DOUBLE_CAST(UNET_INSTANTIATE)
#undef UNET_INSTANTIATE

}  // namespace unet::kernels
