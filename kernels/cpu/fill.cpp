#include "kernels/fill.h"

#include "kernels/cpu/rows.h"

namespace unet::kernels {

template <class T>
void execute(Cpu, const Context& context, const Fill<T>& op) {
  const View<T>& y = op.y;
  const auto value = [value = op.value] { return value; };
  cpu::for_each_row(context, cpu::Rows(y), y.size(), [&](const cpu::Row& row) {
    const int64_t lanes = std::min(row.lanes, y.c - row.c);
    if (lanes == y.stride_w) {
      cpu::map_run(y.w * lanes, value, row.of(y));
      return;
    }
    for (int64_t w = 0; w < y.w; ++w) {
      T* pixel = row.of(y) + w * y.stride_w;
      cpu::map_run(lanes, value, pixel);
      cpu::clear_padding(y, pixel, lanes);
    }
  });
}

template void execute(Cpu, const Context&, const Fill<float>&);
template void execute(Cpu, const Context&, const Fill<bf16>&);
template void execute(Cpu, const Context&, const Fill<uint8_t>&);
template void execute(Cpu, const Context&, const Fill<int32_t>&);

}  // namespace unet::kernels
