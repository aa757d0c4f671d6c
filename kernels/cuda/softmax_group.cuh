// Softmax over the channels of a pixel by a group of neighbouring lanes.
#pragma once

#include "kernels/cuda/device.cuh"

namespace unet::kernels::gpu {

/// f(lanes), a power of two from 1 to 32 known to the compiler: so many lanes share a pixel of so many channels.
template <class F>
void with_lanes(int64_t channels, F f) {
  if (channels <= 4) return f(std::integral_constant<int, 1>{});
  if (channels <= 16) return f(std::integral_constant<int, 4>{});
  if (channels <= 64) return f(std::integral_constant<int, 16>{});
  f(std::integral_constant<int, 32>{});
}

/// The scores of one pixel, of which this lane has channels lane, lane + kLanes, ... All lanes of a warp construct one
/// at the same time; a lane without a pixel has no channels.
template <int kLanes>
struct SoftmaxGroup {
  const float* scores;  // [channels] of the pixel
  int64_t channels;
  float highest;  // of all scores
  float sum;      // of exp(score - highest)

  __device__ __forceinline__ SoftmaxGroup(const float* pixel, int64_t count) : scores(pixel), channels(count) {
    highest = -INFINITY;
    for (int64_t k = lane(); k < channels; k += kLanes) highest = fmaxf(highest, scores[k]);
    for (int distance = kLanes / 2; distance > 0; distance /= 2) {
      highest = fmaxf(highest, __shfl_xor_sync(0xffffffffU, highest, distance));
    }
    sum = 0;
    for (int64_t k = lane(); k < channels; k += kLanes) sum += expf(scores[k] - highest);
    for (int distance = kLanes / 2; distance > 0; distance /= 2) {
      sum += __shfl_xor_sync(0xffffffffU, sum, distance);
    }
  }

  __device__ __forceinline__ static int lane() { return static_cast<int>(threadIdx.x % kLanes); }
  __device__ __forceinline__ float probability(int64_t k) const { return expf(scores[k] - highest) / sum; }
};

}  // namespace unet::kernels::gpu
