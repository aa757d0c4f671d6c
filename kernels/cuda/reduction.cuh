// Sums in a fixed order: the same bits whatever the device, and from run to run.
#pragma once

#include "kernels/cuda/device.cuh"

namespace unet::kernels::gpu {

constexpr int kReductionThreads = 256;
constexpr int kReductionWarps = kReductionThreads / 32;
constexpr int64_t kMostReductionBlocks = 1024;  // fill the largest devices once

/// Blocks of a kernel that leaves one partial result a block, for so many items of one thread each: by their number
/// alone, never by the device. A thread of fewer blocks than the most has two items.
inline int64_t reduction_blocks(int64_t items) {
  const int64_t blocks = ceil_div(items, int64_t{2} * kReductionThreads);
  return blocks < kMostReductionBlocks ? blocks : kMostReductionBlocks;
}

/// combine(...) over the values of all threads of the block, as a binary tree over the thread index; thread 0 has the
/// result. combine is associative and commutative up to rounding. All kReductionThreads threads call it.
template <class Value, class Combine>
__device__ __forceinline__ Value block_reduce(Value value, Combine combine, Value (&shared)[kReductionWarps]) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffffU, value, distance));
  }
  __syncthreads();  // whoever used `shared` before is done
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kReductionWarps; ++warp) value = combine(value, shared[warp]);
  }
  return value;
}

/// The same over `count` partial results in memory, read by one block.
template <class Value, class Combine>
__device__ __forceinline__ Value block_reduce(const Value* partial, int64_t count, Value identity, Combine combine,
                                              Value (&shared)[kReductionWarps]) {
  Value value = identity;
  for (int64_t i = threadIdx.x; i < count; i += kReductionThreads) value = combine(value, partial[i]);
  return block_reduce(value, combine, shared);
}

struct Plus {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};

}  // namespace unet::kernels::gpu
