#include "kernels/reduce.h"

#include "kernels/cuda/elementwise.cuh"
#include "kernels/cuda/multi_tensor.cuh"
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

template <Reduction kReduction>
void finish_reduce(const Context& context, const double* partial, int64_t count, double* result) {
  launch(context, finish_reduce_kernel<kReduction>, {.grid = dim3(1), .block = dim3(kReductionThreads)}, partial, count,
         result);
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
               blocks == 1 ? result : partial.data());
        if (blocks > 1) finish_reduce<kReduction>(context, partial.data(), blocks, result);
      },
      x);
}

/// One of many arrays.
struct SquaredTensor {
  const float* x;  // [size]
  int64_t size;

  UNET_HOST_DEVICE bool is_aligned() const { return reinterpret_cast<uintptr_t>(x) % 16 == 0; }
};

/// A thread's share of the sum.
struct SquareSum {
  double sum = 0;

  template <int kWidth>
  __device__ __forceinline__ void update(const SquaredTensor& t, int64_t i) {
    const auto x = load_vector<kWidth>(t.x + i);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum += Rule<Reduction::sum_of_squares>{}.of(x.values[k]);
  }
};

// partial[block] over the chunks that the block takes. Shared: 64 bytes. Bound: memory.
__global__ void __launch_bounds__(kReductionThreads)
    sum_of_squares_kernel(const __grid_constant__ TensorTable<SquaredTensor> table, double* partial) {
  static_assert(kUpdateThreads == kReductionThreads);
  UNET_SHARED(double[kReductionWarps], shared);
  SquareSum squares;
  for_each_element(table, squares);
  const double sum = block_reduce(squares.sum, Plus{}, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
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

template <>
void execute(DeviceTarget, const Context& context, const SumOfSquares<float>& op) {
  using gpu::SquaredTensor;
  const int64_t tables = ceil_div(std::ssize(op.arrays), int64_t{gpu::kTensorsPerLaunch});
  const Scratch<double> partial(*context.workspace, tables * gpu::kMostReductionBlocks);
  int64_t count = 0;
  const auto tensor_of = [](const auto& array) { return SquaredTensor{array.data(), std::ssize(array)}; };
  gpu::for_each_table<SquaredTensor>(op.arrays, tensor_of, [&](const gpu::TensorTable<SquaredTensor>& table) {
    const int64_t chunks = table.chunks();
    const int64_t blocks = chunks < gpu::kMostReductionBlocks ? chunks : gpu::kMostReductionBlocks;
    gpu::launch(context, gpu::sum_of_squares_kernel,
                {.grid = dim3(static_cast<unsigned>(blocks)), .block = dim3(gpu::kReductionThreads)}, table,
                partial.data() + count);
    count += blocks;
  });
  gpu::finish_reduce<Reduction::sum>(context, partial.data(), count, op.result);
}

template void execute(DeviceTarget, const Context&, const Reduce<float>&);
template void execute(DeviceTarget, const Context&, const Reduce<bf16>&);

}  // namespace unet::kernels
