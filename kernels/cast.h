// Copy between element types and layouts.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// y = To(x), any layout to any layout, crops included. To bf16 it rounds to nearest even; to i32 it truncates, clamped
/// to [-2^31, 2^31-128], and a NaN becomes -2^31. With From == To it is the layout conversion. y must not alias x.
template <class From, class To>
struct Cast {
  using Element = std::conditional_t<std::is_same_v<From, double>, double, To>;  // double where either is
  static constexpr const char* kName = "cast";

  View<const From> x;  // [N,H,W,C]
  View<To> y;          // [N,H,W,C]

  void check() const;
};

template <class From, class To>
void execute(Reference target, const Context& context, const Cast<From, To>&);
template <class From, class To>
void execute(Cpu target, const Context& context, const Cast<From, To>&);
template <class From, class To>
void execute(Cuda target, const Context& context, const Cast<From, To>&);
template <class From, class To>
void execute(Emulated target, const Context& context, const Cast<From, To>&);
template <class From, class To>
void execute(Cudnn target, const Context& context, const Cast<From, To>&);

// The pairs that exist: on every target, and where double takes part, on the reference target alone.
#define UNET_FOR_EACH_CAST(Do)                                                                          \
  Do(float, float) Do(float, bf16) Do(bf16, float) Do(bf16, bf16) Do(uint8_t, float) Do(int32_t, float) \
      Do(float, int32_t) Do(uint8_t, uint8_t) Do(int32_t, int32_t)
#define UNET_FOR_EACH_DOUBLE_CAST(Do) Do(float, double) Do(double, float) Do(double, double)

}  // namespace unet::kernels
