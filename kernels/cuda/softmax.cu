#include "kernels/softmax.h"

#include "kernels/cuda/softmax_group.cuh"
#include "kernels/cuda/walk.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

constexpr int kThreads = 256;

// kLanes lanes take a pixel: its scores are read from memory once and twice more from the first-level cache. The loop
// ends for all lanes of a warp at once, as shuffles need. Bound: memory.
template <int kLanes>
__global__ void __launch_bounds__(kThreads)
    softmax_kernel(Walk walk, Walked<const float> x, Walked<float> y, int64_t channels) {
  constexpr int kPixels = kThreads / kLanes;  // of a block at a time
  const int64_t step = int64_t{gridDim.x} * kPixels;
  const int own = static_cast<int>(threadIdx.x) / kLanes;
  for (int64_t first = int64_t{blockIdx.x} * kPixels; first < walk.count(); first += step) {
    const bool has_pixel = first + own < walk.count();
    const Place place = walk.place(has_pixel ? first + own : first);
    const SoftmaxGroup<kLanes> softmax(x(place), has_pixel ? channels : 0);
    float* out = y(place);
    for (int64_t k = softmax.lane(); k < softmax.channels; k += kLanes) out[k] = softmax.probability(k);
  }
}

}  // namespace
}  // namespace gpu

template <>
void execute(DeviceTarget, const Context& context, const Softmax<float>& op) {
  gpu::require_channels_last(Softmax<float>::kName, op.x, op.y);
  const auto walk = gpu::Walk::over_pixels(op.x, op.y);
  gpu::with_lanes(op.x.c, [&](auto lanes) {
    const int64_t blocks = ceil_div(op.x.pixels() * lanes, gpu::kThreads);
    const int64_t most = int64_t{32} * gpu::device_info(context).multiprocessors;
    gpu::launch(context, gpu::softmax_kernel<lanes>,
                {.grid = dim3(static_cast<unsigned>(blocks < most ? blocks : most)), .block = dim3(gpu::kThreads)},
                walk, walk(op.x), walk(op.y), op.x.c);
  });
}

}  // namespace unet::kernels
