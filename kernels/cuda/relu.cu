#include "kernels/relu.h"

#include "kernels/cuda/elementwise.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

struct KeepPositive {
  __device__ __forceinline__ float operator()(float x) const { return x <= 0 ? 0.0F : x; }  // keeps NaN
};
struct KeepWherePositive {
  __device__ __forceinline__ float operator()(float y, float dy) const { return y > 0 ? dy : 0.0F; }
};

}  // namespace
}  // namespace gpu

template <class T>
void execute(DeviceTarget, const Context& context, const Relu<T>& op) {
  gpu::require_channels_last(Relu<T>::kName, op.x, op.y);
  gpu::map(context, gpu::KeepPositive{}, op.x, op.y);
}

template <class T>
void execute(DeviceTarget, const Context& context, const ReluBackward<T>& op) {
  gpu::require_channels_last(ReluBackward<T>::kName, op.y, op.dy, op.dx);
  gpu::map(context, gpu::KeepWherePositive{}, op.y, op.dy, op.dx);
}

template void execute(DeviceTarget, const Context&, const Relu<float>&);
template void execute(DeviceTarget, const Context&, const Relu<bf16>&);
template void execute(DeviceTarget, const Context&, const ReluBackward<float>&);
template void execute(DeviceTarget, const Context&, const ReluBackward<bf16>&);

}  // namespace unet::kernels
