// Reductions of a whole view to one number.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

enum class Reduction : uint8_t { sum, sum_of_squares, max_abs, count_nonfinite };

/// result = reduction over all elements of x, in double and in a fixed order: independent of the thread count, and on a
/// device of all but shape, strides and alignment. A NaN makes max_abs NaN.
template <class T>
struct Reduce {
  using Element = T;
  static constexpr const char* kName = "reduce";

  View<const T> x;  // [N,H,W,C]
  Reduction reduction = Reduction::sum;
  double* result = nullptr;  // [1], in the target's memory

  void check() const;
};

UNET_DECLARE_OPERATION(Reduce);

}  // namespace unet::kernels
