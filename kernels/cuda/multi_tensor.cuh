// One launch for all parameters of a network: updates of many arrays of different sizes.
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

// A block takes every gridDim-th chunk: rule.template update<width>(tensor, i) for its elements, four at a time where
// the tensor is aligned. Elements are independent, so the result depends on nothing but the operands. Bound: memory.
template <class Rule>
__global__ void __launch_bounds__(kUpdateThreads)
    update_kernel(const __grid_constant__ TensorTable<typename Rule::Tensor> table, const Rule rule) {
  for (int64_t chunk = blockIdx.x; chunk < table.first_chunk[table.count]; chunk += gridDim.x) {
    const int index = table.tensor_of(chunk);
    const typename Rule::Tensor& tensor = table.tensors[index];
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

/// Updates all parameters, 64 a launch. tensor_of(parameter) is a Rule::Tensor.
template <class Rule, class Parameters, class TensorOf>
void update(const Context& context, const Rule& rule, const Parameters& parameters, TensorOf tensor_of) {
  TensorTable<typename Rule::Tensor> table;
  static_assert(sizeof table + sizeof rule <= 4096, "more kernel parameters than devices before CUDA 12.1 take");
  table.first_chunk[0] = 0;
  const auto launch_table = [&] {
    const int64_t chunks = table.first_chunk[table.count], most = int64_t{32} * device_info(context).multiprocessors;
    if (chunks > 0) {
      launch(context, update_kernel<Rule>,
             {.grid = dim3(static_cast<unsigned>(chunks < most ? chunks : most)), .block = dim3(kUpdateThreads)}, table,
             rule);
    }
    table.count = 0;
  };
  for (const auto& parameter : parameters) {
    if (parameter.size == 0) continue;
    if (table.count == kTensorsPerLaunch) launch_table();
    table.tensors[table.count] = tensor_of(parameter);
    table.first_chunk[table.count + 1] = table.first_chunk[table.count] + ceil_div(parameter.size, kChunk);
    ++table.count;
  }
  launch_table();
}

}  // namespace unet::kernels::gpu
