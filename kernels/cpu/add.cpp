#include "kernels/add.h"

#include "kernels/cpu/rows.h"

namespace unet::kernels {

template <class T>
void execute(Cpu, const Context& context, const Add<T>& op) {
  cpu::map_elements(
      context, [](float a, float b) -> T { return a + b; }, op.y, op.a, op.b);
}

template void execute(Cpu, const Context&, const Add<float>&);
template void execute(Cpu, const Context&, const Add<bf16>&);

}  // namespace unet::kernels
