// One launch for all parameters of a network: operations on many arrays of different sizes.
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/vector.cuh"

namespace unet::kernels::gpu {

constexpr int kUpdateThreads = 256;
constexpr int kUpdateWidth = 4;                                // floats in 16 bytes
constexpr int64_t kChunk = 4 * kUpdateWidth * kUpdateThreads;  // elements that a block takes at a time
constexpr int kTensorsPerLaunch = 64;                          // so that the table fits into 4 KiB of kernel parameters

/// Arrays of up to kTensorsPerLaunch tensors, cut into chunks. Tensor has a `size` and is_aligned(): whether its arrays
/// begin at multiples of 16 bytes.
template <class Tensor>
struct TensorTable {
  Tensor tensors[kTensorsPerLaunch];
  int64_t first_chunk[kTensorsPerLaunch + 1];  // of all chunks of the launch; the last entry in use is their number
  int count = 0;

  UNET_HOST_DEVICE int64_t chunks() const { return first_chunk[count]; }

  /// The tensor that a chunk belongs to: the last whose first chunk is not behind it.
  UNET_HOST_DEVICE int tensor_of(int64_t chunk) const {
    int low = 0, high = count;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      (first_chunk[middle] <= chunk ? low : high) = middle;
    }
    return low;
  }
};

/// rule.template update<width>(tensor, i) for the elements of every gridDim-th chunk, four at a time where the tensor
/// is aligned: the block's share. All kUpdateThreads threads call it.
template <class Tensor, class Rule>
__device__ __forceinline__ void for_each_element(const TensorTable<Tensor>& table, Rule& rule) {
  for (int64_t chunk = blockIdx.x; chunk < table.chunks(); chunk += gridDim.x) {
    const int index = table.tensor_of(chunk);
    const Tensor& tensor = table.tensors[index];
    const int64_t begin = (chunk - table.first_chunk[index]) * kChunk;
    const int length = static_cast<int>(tensor.size - begin < kChunk ? tensor.size - begin : kChunk);
    const int vectors = tensor.is_aligned() ? length / kUpdateWidth : 0, thread = static_cast<int>(threadIdx.x);
    for (int i = thread; i < vectors; i += kUpdateThreads) {
      rule.template update<kUpdateWidth>(tensor, begin + i * kUpdateWidth);
    }
    for (int i = vectors * kUpdateWidth + thread; i < length; i += kUpdateThreads) {
      rule.template update<1>(tensor, begin + i);
    }
  }
}

/// Calls visit(table) with tables of all parameters that have elements, 64 in each. tensor_of(parameter) is a Tensor.
template <class Tensor, class Parameters, class TensorOf, class Visit>
void for_each_table(const Parameters& parameters, TensorOf tensor_of, Visit visit) {
  TensorTable<Tensor> table;
  table.first_chunk[0] = 0;
  for (const auto& parameter : parameters) {
    const Tensor tensor = tensor_of(parameter);
    if (tensor.size == 0) continue;
    if (table.count == kTensorsPerLaunch) {
      visit(table);
      table.count = 0;
    }
    table.tensors[table.count] = tensor;
    table.first_chunk[table.count + 1] = table.chunks() + ceil_div(tensor.size, kChunk);
    ++table.count;
  }
  if (table.count > 0) visit(table);
}

// Elements are independent, so the result depends on nothing but the operands. Bound: memory.
template <class Rule>
__global__ void __launch_bounds__(kUpdateThreads)
    update_kernel(const __grid_constant__ TensorTable<typename Rule::Tensor> table, const Rule rule) {
  for_each_element(table, rule);
}

/// Updates all parameters.
template <class Rule, class Parameters, class TensorOf>
void update(const Context& context, const Rule& rule, const Parameters& parameters, TensorOf tensor_of) {
  using Table = TensorTable<typename Rule::Tensor>;
  static_assert(sizeof(Table) + sizeof(Rule) <= 4096, "more kernel parameters than devices before CUDA 12.1 take");
  for_each_table<typename Rule::Tensor>(parameters, tensor_of, [&](const Table& table) {
    const int64_t most = int64_t{32} * device_info(context).multiprocessors;
    const int64_t blocks = table.chunks() < most ? table.chunks() : most;
    launch(context, update_kernel<Rule>, {.grid = dim3(static_cast<unsigned>(blocks)), .block = dim3(kUpdateThreads)},
           table, rule);
  });
}

}  // namespace unet::kernels::gpu
