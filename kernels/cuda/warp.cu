#include "kernels/warp.h"

#include "kernels/cuda/device.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

constexpr int kTileW = 32, kTileH = 8;  // pixels a block

// One thread a pixel, blocks of 32x8 pixels: neighbours read neighbouring nodes and page pixels, which the first-level
// cache serves. Bound: arithmetic of the cubic weights, some 100 operations a pixel; 4 to 16 bytes a value from L2.
template <class T>
__global__ void __launch_bounds__(kTileW* kTileH) warp_kernel(Warp<T> op) {
  const int64_t w = int64_t{blockIdx.x} * kTileW + threadIdx.x, h = int64_t{blockIdx.y} * kTileH + threadIdx.y;
  if (w >= op.y.w || h >= op.y.h) return;
  const WarpPose pose = *op.pose;
  const WarpPosition q = warp_position(op, pose, op.top + h, op.left + w);
  for (int64_t c = 0; c < op.y.c; ++c) op.y(0, h, w, c) = warp_value(op, pose, q, c);
}

}  // namespace
}  // namespace gpu

template <class T>
void execute(DeviceTarget, const Context& context, const Warp<T>& op) {
  gpu::require_channels_last(Warp<T>::kName, op.x, op.y);
  const dim3 grid(static_cast<unsigned>(ceil_div(op.y.w, gpu::kTileW)),
                  static_cast<unsigned>(ceil_div(op.y.h, gpu::kTileH)));
  gpu::launch(context, gpu::warp_kernel<T>, {.grid = grid, .block = dim3(gpu::kTileW, gpu::kTileH)}, op);
}

template void execute(DeviceTarget, const Context&, const Warp<float>&);
template void execute(DeviceTarget, const Context&, const Warp<int32_t>&);

}  // namespace unet::kernels
