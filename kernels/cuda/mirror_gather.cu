#include "kernels/mirror_gather.h"

#include "kernels/cuda/device.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

constexpr int kThreads = 256;

// One thread an element of a row of the window, in the order of memory; blocks along y of the grid take rows in turn.
// Bound: memory, 4 bytes read and sizeof(T) written an element.
template <class T>
__global__ void __launch_bounds__(kThreads) mirror_gather_kernel(MirrorGather<T> op) {
  const int64_t row_elements = op.y.w * op.y.c;
  for (int64_t row = blockIdx.y; row < op.y.n * op.y.h; row += gridDim.y) {
    const int64_t n = row / op.y.h, h = row % op.y.h;
    const int64_t from_h = mirror(op.top + h, op.x.h);
    for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < row_elements;
         i += int64_t{gridDim.x} * kThreads) {
      const int64_t w = i / op.y.c, c = i % op.y.c;
      op.y(n, h, w, c) = static_cast<T>(op.x(n, from_h, mirror(op.left + w, op.x.w), c));
    }
  }
}

}  // namespace
}  // namespace gpu

template <class T>
void execute(DeviceTarget, const Context& context, const MirrorGather<T>& op) {
  gpu::require_channels_last(MirrorGather<T>::kName, op.x, op.y);
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(ceil_div(op.y.w * op.y.c, gpu::kThreads), 1024));
  const auto rows = static_cast<unsigned>(std::min<int64_t>(op.y.n * op.y.h, 65535));
  gpu::launch(context, gpu::mirror_gather_kernel<T>, {.grid = dim3(blocks, rows), .block = dim3(gpu::kThreads)}, op);
}

template void execute(DeviceTarget, const Context&, const MirrorGather<float>&);
template void execute(DeviceTarget, const Context&, const MirrorGather<bf16>&);

}  // namespace unet::kernels
