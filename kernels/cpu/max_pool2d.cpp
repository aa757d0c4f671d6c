#include "kernels/max_pool2d.h"

#include "kernels/add.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/rows.h"
#include "kernels/relu.h"

namespace unet::kernels {
namespace {

using cpu::Float16Lanes;
using cpu::Int16Lanes;

/// One output pixel: the maximum of four input pixels and where it came from.
template <class Lanes, class T>
void pool_pixel(Lanes lanes, const T* top, const T* bottom, int64_t next, T* y, uint8_t* code) {
  for (int64_t i = 0; i < lanes; i += kChannelBlock) {
    const int64_t count = std::min(kChannelBlock, lanes - i);
    Float16Lanes best = cpu::load(top + i, count);
    Int16Lanes best_code{};
    const auto challenge = [&](const T* pixel, int32_t pixel_code) {
      const Float16Lanes x = cpu::load(pixel + i, count);
      // best == best: the first NaN wins. Comparisons stand where they select, which is what GCC makes masks of.
      best_code = best == best ? (x <= best ? best_code : Int16Lanes{} + pixel_code) : best_code;
      best = best == best ? (x <= best ? best : x) : best;
    };
    challenge(top + next, 1);
    challenge(bottom, 2);
    challenge(bottom + next, 3);
    cpu::store(best, y + i, count);
    if (code) cpu::store(best_code, code + i, count);
  }
}

/// Four input pixels' gradients from one output pixel's.
template <class Lanes, class T>
void spread_pixel(Lanes lanes, const T* dy, const uint8_t* code, T* top, T* bottom, int64_t next) {
  for (int64_t i = 0; i < lanes; i += kChannelBlock) {
    const int64_t count = std::min(kChannelBlock, lanes - i);
    const Float16Lanes g = cpu::load(dy + i, count), zero{};
    const Int16Lanes k = cpu::load(code + i, count);
    cpu::store(k == 0 ? g : zero, top + i, count);
    cpu::store(k == 1 ? g : zero, top + next + i, count);
    cpu::store(k == 2 ? g : zero, bottom + i, count);
    cpu::store(k == 3 ? g : zero, bottom + next + i, count);
  }
}

}  // namespace

template <class T>
void execute(Cpu, const Context& context, const MaxPool2d<T>& op) {
  const auto& [x, y, code] = op;
  cpu::for_each_row(context, cpu::Rows(y, x, code), x.size(), [&](const cpu::Row& row) {
    const T* top = &x(row.n, 2 * row.h, 0, row.c);
    T* out = row.of(y);
    uint8_t* out_code = code ? row.of(code) : nullptr;
    cpu::with_lanes(row.lanes, [&](auto lanes) {
      for (int64_t j = 0; j < y.w; ++j, top += 2 * x.stride_w, out += y.stride_w) {
        pool_pixel(lanes, top, top + x.stride_h, x.stride_w, out, out_code);
        cpu::clear_padding(y, out, lanes);
        if (code) {
          cpu::clear_padding(code, out_code, lanes);
          out_code += code.stride_w;
        }
      }
    });
  });
}

template <class T>
void execute(Cpu, const Context& context, const MaxPool2dBackward<T>& op) {
  const auto& code = op.code;
  const auto& dy = op.dy;
  const auto& dx = op.dx;
  cpu::for_each_row(context, cpu::Rows(dy, code, dx), dx.size(), [&](const cpu::Row& row) {
    const auto clear_pixel = [&](int64_t h, int64_t w) {
      T* pixel = &dx(row.n, h, w, row.c);
      std::fill_n(pixel, row.lanes, T(0));
      cpu::clear_padding(dx, pixel, row.lanes);
    };
    const int64_t h = 2 * row.h;
    const T* in = row.of(dy);
    const uint8_t* in_code = row.of(code);
    T* top = &dx(row.n, h, 0, row.c);
    cpu::with_lanes(row.lanes, [&](auto lanes) {
      for (int64_t j = 0; j < dy.w; ++j) {
        spread_pixel(lanes, in, in_code, top, top + dx.stride_h, dx.stride_w);
        for (T* pixel : {top, top + dx.stride_w}) {
          cpu::clear_padding(dx, pixel, lanes);
          cpu::clear_padding(dx, pixel + dx.stride_h, lanes);
        }
        in += dy.stride_w, in_code += code.stride_w, top += 2 * dx.stride_w;
      }
    });
    if (dx.w % 2 == 1) clear_pixel(h, dx.w - 1), clear_pixel(h + 1, dx.w - 1);
    if (h + 3 == dx.h) {
      for (int64_t w = 0; w < dx.w; ++w) clear_pixel(h + 2, w);
    }
  });
  if (op.skip) {
    const View<T> crop = dx.crop(op.skip_top, op.skip_left, op.skip.h, op.skip.w);
    execute(Cpu{}, context, Add<T>{.a = crop, .b = op.skip, .y = crop});
  }
  if (op.relu_y) execute(Cpu{}, context, ReluBackward<T>{.y = op.relu_y, .dy = dx, .dx = dx});
}

template void execute(Cpu, const Context&, const MaxPool2d<float>&);
template void execute(Cpu, const Context&, const MaxPool2d<bf16>&);
template void execute(Cpu, const Context&, const MaxPool2dBackward<float>&);
template void execute(Cpu, const Context&, const MaxPool2dBackward<bf16>&);

}  // namespace unet::kernels
