#include "kernels/conv_transpose2d.h"

namespace unet::kernels {
namespace {

// w[k,a,d,c] as the products see it: rounded to T.
template <class T>
double filter(const View<const Accumulate<T>>& w, int64_t k, int64_t a, int64_t d, int64_t c) {
  return static_cast<double>(static_cast<T>(w(k, a, d, c)));
}

// y[n,h,w,k] = compute(n, h, w, k), and zero in the padding channels of a blocked y.
template <class Y, class Compute>
void fill(const View<Y>& y, Compute compute) {
  for (int64_t n = 0; n < y.n; ++n)
    for (int64_t h = 0; h < y.h; ++h)
      for (int64_t w = 0; w < y.w; ++w)
        for (int64_t k = 0; k < y.blocks() * y.block; ++k)
          y(n, h, w, k) = k < y.c ? static_cast<Y>(compute(n, h, w, k)) : Y(0.0F);
}

}  // namespace

template <class T>
void execute(Reference, const Context&, const ConvTranspose2d<T>& o) {
  fill(o.y, [&](int64_t n, int64_t h, int64_t w, int64_t k) {
    double sum = o.b ? static_cast<double>(o.b(0, 0, 0, k)) : 0;
    for (int64_t c = 0; c < o.x.c; ++c) {
      sum += filter<T>(o.w, k, h % 2, w % 2, c) * static_cast<double>(o.x(n, h / 2, w / 2, c));
    }
    return o.relu && sum < 0 ? 0 : sum;
  });
}

template <class T>
void execute(Reference, const Context&, const ConvTranspose2dBackward<T>& o) {
  auto g = [&](int64_t n, int64_t h, int64_t w, int64_t k) -> double {
    if (o.y && !(static_cast<double>(o.y(n, h, w, k)) > 0)) return 0;
    return static_cast<double>(o.dy(n, h, w, k));
  };
  if (o.db) {
    fill(o.db, [&](int64_t, int64_t, int64_t, int64_t k) {
      double sum = 0;
      for (int64_t n = 0; n < o.dy.n; ++n)
        for (int64_t h = 0; h < o.dy.h; ++h)
          for (int64_t w = 0; w < o.dy.w; ++w) sum += g(n, h, w, k);
      return sum;
    });
  }
  if (o.dw) {
    fill(o.dw, [&](int64_t k, int64_t a, int64_t d, int64_t c) {
      double sum = 0;
      for (int64_t n = 0; n < o.x.n; ++n)
        for (int64_t i = 0; i < o.x.h; ++i)
          for (int64_t j = 0; j < o.x.w; ++j) {
            sum += g(n, 2 * i + a, 2 * j + d, k) * static_cast<double>(o.x(n, i, j, c));
          }
      return sum;
    });
  }
  if (o.dx) {
    fill(o.dx, [&](int64_t n, int64_t i, int64_t j, int64_t c) {
      double sum = 0;
      for (int64_t k = 0; k < o.w.n; ++k)
        for (int64_t a = 0; a < 2; ++a)
          for (int64_t d = 0; d < 2; ++d) sum += g(n, 2 * i + a, 2 * j + d, k) * filter<T>(o.w, k, a, d, c);
      return sum;
    });
  }
}

template void execute(Reference, const Context&, const ConvTranspose2d<float>&);
template void execute(Reference, const Context&, const ConvTranspose2d<bf16>&);
template void execute(Reference, const Context&, const ConvTranspose2d<double>&);
template void execute(Reference, const Context&, const ConvTranspose2dBackward<float>&);
template void execute(Reference, const Context&, const ConvTranspose2dBackward<bf16>&);
template void execute(Reference, const Context&, const ConvTranspose2dBackward<double>&);

}  // namespace unet::kernels
