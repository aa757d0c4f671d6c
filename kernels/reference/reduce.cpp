#include "kernels/reduce.h"

#include <cmath>
#include <limits>

#include "kernels/reference/loops.h"

namespace unet::kernels {
namespace {

double include(Reduction reduction, double result, double x) {
  switch (reduction) {
    case Reduction::sum:
      return result + x;
    case Reduction::sum_of_squares:
      return result + x * x;
    case Reduction::max_abs:
      return std::isnan(x) || std::abs(x) > result ? std::abs(x) : result;
    case Reduction::count_nonfinite:
      break;
  }
  return result + (std::isfinite(x) ? 0 : 1);
}

}  // namespace

template <class T>
void execute(Reference, const Context&, const Reduce<T>& op) {
  double result = 0;
  reference::for_each_element(
      op.x, [&](auto... at) { result = include(op.reduction, result, static_cast<double>(op.x(at...))); });
  *op.result = result;
}

template <class T>
void execute(Reference, const Context&, const SumOfSquares<T>& op) {
  double result = 0;
  for (const std::span<const T>& array : op.arrays) {
    for (const T x : array) result = include(Reduction::sum_of_squares, result, x);
  }
  *op.result = result;
}

template void execute(Reference, const Context&, const Reduce<float>&);
template void execute(Reference, const Context&, const Reduce<bf16>&);
template void execute(Reference, const Context&, const Reduce<double>&);
template void execute(Reference, const Context&, const SumOfSquares<float>&);
template void execute(Reference, const Context&, const SumOfSquares<double>&);

}  // namespace unet::kernels
