#include "kernels/crop_concat.h"

#include "kernels/cpu/rows.h"

namespace unet::kernels {
namespace {

/// to[n,h,w,to_c+i] = from[n,h,w,from_c+i] for i < count, in runs of channels that both views store together.
template <class T>
void copy_channels(const Context& context, const View<const T>& from, int64_t from_c, const View<T>& to, int64_t to_c,
                   int64_t count) {
  const int64_t rows = to.n * to.h;
#pragma omp parallel for num_threads(cpu::threads_for(context, to.pixels() * count)) schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t n = row / to.h, h = row % to.h;
    for (int64_t i = 0, run = 0; i < count; i += run) {
      const int64_t source_c = from_c + i, target_c = to_c + i;
      run = std::min({from.block - source_c % from.block, to.block - target_c % to.block, count - i});
      const T* source = &from(n, h, 0, source_c);
      T* target = &to(n, h, 0, target_c);
      if (run == from.stride_w && run == to.stride_w) {
        std::copy_n(source, to.w * run, target);
        continue;
      }
      for (int64_t w = 0; w < to.w; ++w) std::copy_n(source + w * from.stride_w, run, target + w * to.stride_w);
    }
  }
}

/// Writes the zeros past the last channel of a blocked view.
template <class T>
void clear_last_padding(const View<T>& v) {
  const int64_t lanes = v.c % kChannelBlock;
  if (!v.is_blocked() || lanes == 0) return;
  for (int64_t n = 0; n < v.n; ++n) {
    for (int64_t h = 0; h < v.h; ++h) {
      for (int64_t w = 0; w < v.w; ++w) cpu::clear_padding(v, &v(n, h, w, v.c - lanes), lanes);
    }
  }
}

}  // namespace

template <class T>
void execute(Cpu, const Context& context, const CropConcat<T>& op) {
  copy_channels(context, op.x, 0, op.y, 0, op.x.c);
  copy_channels(context, op.x2, 0, op.y, op.x.c, op.x2.c);
  clear_last_padding(op.y);
}

template <class T>
void execute(Cpu, const Context& context, const CropConcatBackward<T>& op) {
  if (op.dx) {
    copy_channels(context, op.dy, 0, op.dx, 0, op.dx.c);
    clear_last_padding(op.dx);
  }
  if (op.dx2) {
    copy_channels(context, op.dy, op.c1, op.dx2, 0, op.dx2.c);
    clear_last_padding(op.dx2);
  }
}

template void execute(Cpu, const Context&, const CropConcat<float>&);
template void execute(Cpu, const Context&, const CropConcat<bf16>&);
template void execute(Cpu, const Context&, const CropConcatBackward<float>&);
template void execute(Cpu, const Context&, const CropConcatBackward<bf16>&);

}  // namespace unet::kernels
