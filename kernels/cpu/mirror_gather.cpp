#include "kernels/mirror_gather.h"

#include "kernels/cpu/rows.h"

namespace unet::kernels {

template <class T>
void execute(Cpu, const Context& context, const MirrorGather<T>& op) {
  const View<const float>& x = op.x;
  const View<T>& y = op.y;
  const int threads = cpu::threads_for(context, y.size());
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static)
  for (int64_t n = 0; n < y.n; ++n) {
    for (int64_t h = 0; h < y.h; ++h) {
      const int64_t from_h = mirror(op.top + h, x.h);
      for (int64_t w = 0; w < y.w; ++w) {
        const int64_t from_w = mirror(op.left + w, x.w);
        for (int64_t c = 0; c < y.c; ++c) y(n, h, w, c) = static_cast<T>(x(n, from_h, from_w, c));
        for (int64_t c = y.c; c < (y.is_blocked() ? round_up(y.c, kChannelBlock) : y.c); ++c) y(n, h, w, c) = T{};
      }
    }
  }
}

template void execute(Cpu, const Context&, const MirrorGather<float>&);
template void execute(Cpu, const Context&, const MirrorGather<bf16>&);

}  // namespace unet::kernels
