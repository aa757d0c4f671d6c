#include "kernels/reduce.h"

#include <cmath>
#include <limits>

#include "kernels/cpu/rows.h"

namespace unet::kernels {
namespace {

// Four interleaved partial results per row keep the vector units busy; their order is fixed at compile time.

template <class T, class F>
double sum_run(const T* x, int64_t count, F f) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += f(static_cast<float>(x[i]));
  return sum;
}

template <class T>
double max_abs_run(const T* x, int64_t count) {
  float highest = 0;
  int32_t nans = 0;
#pragma omp simd reduction(max : highest) reduction(| : nans)
  for (int64_t i = 0; i < count; ++i) {
    const float magnitude = std::abs(static_cast<float>(x[i]));
    highest = magnitude > highest ? magnitude : highest;
    nans |= magnitude != magnitude;
  }
  return nans ? std::numeric_limits<double>::quiet_NaN() : highest;
}

template <class T>
double reduce_run(Reduction reduction, const T* x, int64_t count) {
  switch (reduction) {
    case Reduction::sum:
      return sum_run(x, count, [](double v) { return v; });
    case Reduction::sum_of_squares:
      return sum_run(x, count, [](double v) { return v * v; });
    case Reduction::max_abs:
      return max_abs_run(x, count);
    case Reduction::count_nonfinite:
      break;
  }
  return sum_run(x, count, [](float v) { return std::abs(v) <= std::numeric_limits<float>::max() ? 0.0 : 1.0; });
}

double combine(Reduction reduction, const double* partial, int64_t count) {
  if (reduction != Reduction::max_abs) return cpu::tree_sum(partial, count);
  double highest = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (std::isnan(partial[i])) return partial[i];
    highest = std::max(highest, partial[i]);
  }
  return highest;
}

}  // namespace

template <class T>
void execute(Cpu, const Context& context, const Reduce<T>& op) {
  const View<const T>& x = op.x;
  const cpu::Rows rows(x);
  const Scratch<double> partial(*context.workspace, rows.count());
  cpu::for_each_row(context, rows, x.size(), [&](const cpu::Row& row) {
    if (row.lanes == x.stride_w) {
      partial[row.index] = reduce_run(op.reduction, row.of(x), x.w * row.lanes);
      return;
    }
    double result = 0;
    for (int64_t w = 0; w < x.w; ++w) {
      const double pixel[]{result, reduce_run(op.reduction, row.of(x) + w * x.stride_w, row.lanes)};
      result = combine(op.reduction, pixel, 2);
    }
    partial[row.index] = result;
  });
  *op.result = combine(op.reduction, partial.data(), rows.count());
}

template <>
void execute(Cpu, const Context& context, const SumOfSquares<float>& op) {
  constexpr int64_t chunk = 4096;  // elements of a partial sum
  int64_t elements = 0, chunks = 0;
  for (const auto& array : op.arrays) {
    elements += std::ssize(array);
    chunks += ceil_div(std::ssize(array), chunk);
  }
  const Scratch<double> partial(*context.workspace, chunks);
#pragma omp parallel num_threads(cpu::threads_for(context, elements))
  {
    double* out = partial.data();
    for (const auto& array : op.arrays) {
      const int64_t size = std::ssize(array), count = ceil_div(size, chunk);
#pragma omp for schedule(static) nowait
      for (int64_t i = 0; i < count; ++i) {
        out[i] = reduce_run(Reduction::sum_of_squares, array.data() + i * chunk, std::min(chunk, size - i * chunk));
      }
      out += count;
    }
  }
  *op.result = cpu::tree_sum(partial.data(), chunks);
}

template void execute(Cpu, const Context&, const Reduce<float>&);
template void execute(Cpu, const Context&, const Reduce<bf16>&);

}  // namespace unet::kernels
