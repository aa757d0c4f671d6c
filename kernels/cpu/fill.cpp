#include "kernels/fill.h"

#include "kernels/cpu/rows.h"

namespace unet::kernels {

template <class T>
void execute(Cpu, const Context& context, const Fill<T>& op) {
  const View<T>& y = op.y;
  const T value = op.value;  // a local, which the stores cannot change
  cpu::for_each_row(context, cpu::Rows(y), y.size(), [&](const cpu::Row& row) {
    const int64_t lanes = std::min(row.lanes, y.c - row.c);
    if (lanes == y.stride_w) {
      std::fill_n(row.of(y), y.w * lanes, value);
      return;
    }
    for (int64_t w = 0; w < y.w; ++w) {
      T* pixel = row.of(y) + w * y.stride_w;
      std::fill_n(pixel, lanes, value);
      cpu::clear_padding(y, pixel, lanes);
    }
  });
}

template void execute(Cpu, const Context&, const Fill<float>&);
template void execute(Cpu, const Context&, const Fill<bf16>&);
template void execute(Cpu, const Context&, const Fill<uint8_t>&);
template void execute(Cpu, const Context&, const Fill<int32_t>&);

}  // namespace unet::kernels
