// Reductions of whole views to one number.
#pragma once

#include <span>

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

/// result = sum of x^2 over all elements x of all arrays, 0 where there are none; in double and in a fixed order, as
/// above. Of float it overflows for no finite x: the result is finite if all elements are.
template <class T>
struct SumOfSquares {
  using Element = T;  // float or double
  static constexpr const char* kName = "sum_of_squares";

  std::span<const std::span<const T>> arrays;
  double* result = nullptr;  // [1], in the target's memory

  void check() const;
};

UNET_DECLARE_OPERATION(Reduce);
UNET_DECLARE_OPERATION(SumOfSquares);

}  // namespace unet::kernels
