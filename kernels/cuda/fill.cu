#include "kernels/fill.h"

#include "kernels/cuda/elementwise.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

template <class T, int kWidth>
struct FillBody {
  Walk walk;
  Walked<T> y;
  T value;

  __device__ __forceinline__ void operator()(int64_t i) const {
    Vector<T, kWidth> out;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) out.values[k] = value;
    store_vector(y(walk.place(i)), out);
  }
};

}  // namespace
}  // namespace gpu

template <class T>
void execute(DeviceTarget, const Context& context, const Fill<T>& op) {
  gpu::require_channels_last(Fill<T>::kName, op.y);
  gpu::with_elements<gpu::kVectorLength<T>>(
      [&](auto width, const auto& y) {
        const auto walk = gpu::Walk::over(width, y);
        gpu::for_each(context, walk.count(), gpu::FillBody<T, width>{walk, walk(y), op.value});
      },
      op.y);
}

template void execute(DeviceTarget, const Context&, const Fill<float>&);
template void execute(DeviceTarget, const Context&, const Fill<bf16>&);
template void execute(DeviceTarget, const Context&, const Fill<uint8_t>&);
template void execute(DeviceTarget, const Context&, const Fill<int32_t>&);

}  // namespace unet::kernels
