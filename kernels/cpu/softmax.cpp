#include "kernels/softmax.h"

#include "kernels/cpu/rows.h"
#include "kernels/cpu/softmax_lanes.h"

namespace unet::kernels {

template <>
void execute(Cpu, const Context& context, const Softmax<float>& op) {
  using cpu::SoftmaxLanes;
  const auto& [x, y] = op;
  const int64_t rows = x.n * x.h;
#pragma omp parallel for num_threads(cpu::threads_for(context, x.size())) schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t n = row / x.h, h = row % x.h;
    for (int64_t w = 0; w < x.w; w += SoftmaxLanes::kLanes) {
      const SoftmaxLanes softmax(x, n, h, w);
      alignas(64) SoftmaxLanes::Lanes p;
      for (int64_t k = 0; k < x.c; ++k) {
        softmax.probabilities(k, p);
        softmax.store(y, &y(n, h, w, 0), k, p);
      }
    }
  }
}

}  // namespace unet::kernels
