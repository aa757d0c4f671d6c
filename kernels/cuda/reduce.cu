#include "kernels/reduce.h"

#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/reduction.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

/// What an element contributes, and how two results become one.
template <Reduction kReduction>
struct Rule {
  __device__ __forceinline__ double of(float x) const {
    if constexpr (kReduction == Reduction::sum) return x;
    if constexpr (kReduction == Reduction::sum_of_squares) return static_cast<double>(x) * static_cast<double>(x);
    if constexpr (kReduction == Reduction::max_abs) return fabsf(x);
    return fabsf(x) <= 3.402823466e38F ? 0.0 : 1.0;  // NaN <= . is false
  }
  __device__ __forceinline__ double operator()(double a, double b) const {
    if constexpr (kReduction != Reduction::max_abs) return a + b;
    return a != a || a > b ? a : b;  // NaN wins
  }
};

// partial[block] over the elements that the block's threads take: thread t of all takes groups t, t+T, t+2T, ... of
// kWidth elements. Shared: 64 bytes. Bound: memory.
template <Reduction kReduction, class T, int kWidth>
__global__ void __launch_bounds__(kReductionThreads) reduce_kernel(Walk walk, Walked<const T> x, double* partial) {
  UNET_SHARED(double[kReductionWarps], shared);
  constexpr Rule<kReduction> rule;
  double result = 0;
  const int64_t step = int64_t{gridDim.x} * kReductionThreads;
  for (int64_t i = int64_t{blockIdx.x} * kReductionThreads + threadIdx.x; i < walk.count(); i += step) {
    const auto values = load_vector<kWidth>(x(walk.place(i)));
#pragma unroll
    for (int k = 0; k < kWidth; ++k) result = rule(result, rule.of(values.values[k]));
  }
  result = block_reduce(result, rule, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = result;
}

// One block: result = all partial results.
template <Reduction kReduction>
__global__ void __launch_bounds__(kReductionThreads)
    finish_reduce_kernel(const double* partial, int64_t count, double* result) {
  UNET_SHARED(double[kReductionWarps], shared);
  const double all = block_reduce(partial, count, 0.0, Rule<kReduction>{}, shared);
  if (threadIdx.x == 0) *result = all;
}

template <Reduction kReduction, class T>
void reduce(const Context& context, const View<const T>& x, double* result) {
  with_elements<kVectorLength<T>>(
      [&](auto width, const auto& view) {
        const Walk walk = Walk::over(width, view);
        const int64_t blocks = reduction_blocks(walk.count());
        const Scratch<double> partial(*context.workspace, blocks);
        launch(context, reduce_kernel<kReduction, T, width>,
               {.grid = dim3(static_cast<unsigned>(blocks)), .block = dim3(kReductionThreads)}, walk, walk(view),
               partial.data());
        launch(context, finish_reduce_kernel<kReduction>, {.grid = dim3(1), .block = dim3(kReductionThreads)},
               partial.data(), blocks, result);
      },
      x);
}

}  // namespace
}  // namespace gpu

template <class T>
void execute(DeviceTarget, const Context& context, const Reduce<T>& op) {
  gpu::require_channels_last(Reduce<T>::kName, op.x);
  switch (op.reduction) {
    case Reduction::sum:
      return gpu::reduce<Reduction::sum>(context, op.x, op.result);
    case Reduction::sum_of_squares:
      return gpu::reduce<Reduction::sum_of_squares>(context, op.x, op.result);
    case Reduction::max_abs:
      return gpu::reduce<Reduction::max_abs>(context, op.x, op.result);
    case Reduction::count_nonfinite:
      return gpu::reduce<Reduction::count_nonfinite>(context, op.x, op.result);
  }
}

template void execute(DeviceTarget, const Context&, const Reduce<float>&);
template void execute(DeviceTarget, const Context&, const Reduce<bf16>&);

}  // namespace unet::kernels
