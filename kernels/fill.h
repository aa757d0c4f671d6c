// Sets every element to one value.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// y = value; padding channels of a blocked view become zero.
template <class T>
struct Fill {
  using Element = T;  // f32, bf16, f64, u8, i32
  static constexpr const char* kName = "fill";

  View<T> y;  // [N,H,W,C]
  T value{};

  void check() const;
};

UNET_DECLARE_OPERATION(Fill);

}  // namespace unet::kernels
