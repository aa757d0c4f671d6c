#include "kernels/relu.h"

#include "kernels/cpu/rows.h"

namespace unet::kernels {

template <class T>
void execute(Cpu, const Context& context, const Relu<T>& op) {
  cpu::map_elements(
      context, [](float x) -> T { return x <= 0 ? 0.0F : x; }, op.y, op.x);
}

template <class T>
void execute(Cpu, const Context& context, const ReluBackward<T>& op) {
  cpu::map_elements(
      context, [](float y, float dy) -> T { return y > 0 ? dy : 0.0F; }, op.dx, op.y, op.dy);
}

template void execute(Cpu, const Context&, const Relu<float>&);
template void execute(Cpu, const Context&, const Relu<bf16>&);
template void execute(Cpu, const Context&, const ReluBackward<float>&);
template void execute(Cpu, const Context&, const ReluBackward<bf16>&);

}  // namespace unet::kernels
