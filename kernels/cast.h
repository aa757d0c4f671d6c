// Copy between element types and layouts.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// y = To(x), any layout to any layout, crops included. Rounds to nearest even; u8 and i32 convert to f32 and back by
/// static_cast. With From == To it is the layout conversion. Never aliases.
template <class From, class To>
struct Cast {
  using Element = std::conditional_t<std::is_same_v<From, double>, double, To>;
  static constexpr const char* kName = "cast";

  View<const From> x;  // [N,H,W,C]
  View<To> y;          // [N,H,W,C]

  void check() const;
};

template <class From, class To>
void execute(Reference target, const Context& context, const Cast<From, To>&);
template <class From, class To>
void execute(Cpu target, const Context& context, const Cast<From, To>&);

}  // namespace unet::kernels
