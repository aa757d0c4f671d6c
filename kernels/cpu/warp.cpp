#include "kernels/warp.h"

#include "kernels/cpu/rows.h"

namespace unet::kernels {

template <class T>
void execute(Cpu, const Context& context, const Warp<T>& op) {
  const WarpPose& pose = *op.pose;
  const View<T>& y = op.y;
  const int64_t stored = y.is_blocked() ? round_up(y.c, kChannelBlock) : y.c;
  const int threads = cpu::threads_for(context, y.size());
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t h = 0; h < y.h; ++h) {
    for (int64_t w = 0; w < y.w; ++w) {
      const WarpPosition q = warp_position(op, pose, op.top + h, op.left + w);
      for (int64_t c = 0; c < y.c; ++c) y(0, h, w, c) = warp_value(op, pose, q, c);
      for (int64_t c = y.c; c < stored; ++c) y(0, h, w, c) = T{};
    }
  }
}

template void execute(Cpu, const Context&, const Warp<float>&);
template void execute(Cpu, const Context&, const Warp<int32_t>&);

}  // namespace unet::kernels
