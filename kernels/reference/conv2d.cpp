#include "kernels/conv2d.h"

#include <algorithm>

#include "kernels/conv2d_unfused.h"

namespace unet::kernels {
namespace {

// cat(x, x2)[n,h,w,c].
template <class T>
double value(const View<const T>& x, const View<const T>& x2, int64_t n, int64_t h, int64_t w, int64_t c) {
  return static_cast<double>(c < x.c ? x(n, h, w, c) : x2(n, h, w, c - x.c));
}

// w[k,r,s,c] as the products see it: rounded to T.
template <class T>
double filter(const View<const Accumulate<T>>& w, int64_t k, int64_t r, int64_t s, int64_t c) {
  return static_cast<double>(static_cast<T>(w(k, r, s, c)));
}

// y[n,p,q,k] = compute(n, p, q, k), and zero in the padding channels of a blocked y.
template <class Y, class Compute>
void fill(const View<Y>& y, Compute compute) {
  for (int64_t n = 0; n < y.n; ++n)
    for (int64_t p = 0; p < y.h; ++p)
      for (int64_t q = 0; q < y.w; ++q)
        for (int64_t k = 0; k < y.blocks() * y.block; ++k)
          y(n, p, q, k) = k < y.c ? static_cast<Y>(compute(n, p, q, k)) : Y(0.0F);
}

}  // namespace

template <class T>
void execute(Reference target, const Context& context, const Conv2d<T>& o) {
  if (o.pooled) return execute_then_pool(target, context, o);
  auto output = [&](int64_t n, int64_t p, int64_t q, int64_t k) {
    double sum = o.b ? static_cast<double>(o.b(0, 0, 0, k)) : 0;
    for (int64_t r = 0; r < o.w.h; ++r)
      for (int64_t s = 0; s < o.w.w; ++s)
        for (int64_t c = 0; c < o.w.c; ++c) sum += filter<T>(o.w, k, r, s, c) * value(o.x, o.x2, n, p + r, q + s, c);
    return o.relu && sum < 0 ? 0 : sum;
  };
  if (o.y) {
    fill(o.y, output);
  } else {
    fill(o.y_wide, output);
  }
}

template <class T>
void execute(Reference target, const Context& context, const Conv2dBackward<T>& o) {
  if (o.relu_x || o.relu_x2) return execute_then_mask(target, context, o);
  const int64_t rows = o.x.h - o.w.h + 1;
  const int64_t columns = o.x.w - o.w.w + 1;
  auto g = [&](int64_t n, int64_t p, int64_t q, int64_t k) -> double {
    if (o.y && !(static_cast<double>(o.y(n, p, q, k)) > 0)) return 0;
    return o.dy ? static_cast<double>(o.dy(n, p, q, k)) : static_cast<double>(o.dy_wide(n, p, q, k));
  };
  auto sum_over_pixels = [&](auto term) {
    double sum = 0;
    for (int64_t n = 0; n < o.x.n; ++n)
      for (int64_t p = 0; p < rows; ++p)
        for (int64_t q = 0; q < columns; ++q) sum += term(n, p, q);
    return sum;
  };

  if (o.db) {
    fill(o.db, [&](int64_t, int64_t, int64_t, int64_t k) {
      return sum_over_pixels([&](int64_t n, int64_t p, int64_t q) { return g(n, p, q, k); });
    });
  }
  if (o.dw) {
    fill(o.dw, [&](int64_t k, int64_t r, int64_t s, int64_t c) {
      return sum_over_pixels(
          [&](int64_t n, int64_t p, int64_t q) { return g(n, p, q, k) * value(o.x, o.x2, n, p + r, q + s, c); });
    });
  }
  auto gradient = [&](int64_t n, int64_t h, int64_t w, int64_t c) {
    double sum = 0;
    for (int64_t k = 0; k < o.w.n; ++k)
      for (int64_t r = std::max<int64_t>(0, h - rows + 1); r <= std::min(h, o.w.h - 1); ++r)
        for (int64_t s = std::max<int64_t>(0, w - columns + 1); s <= std::min(w, o.w.w - 1); ++s)
          sum += g(n, h - r, w - s, k) * filter<T>(o.w, k, r, s, c);
    return sum;
  };
  if (o.dx) fill(o.dx, gradient);
  if (o.dx2) {
    fill(o.dx2, [&](int64_t n, int64_t h, int64_t w, int64_t c) { return gradient(n, h, w, o.x.c + c); });
  }
}

template void execute(Reference, const Context&, const Conv2d<float>&);
template void execute(Reference, const Context&, const Conv2d<bf16>&);
template void execute(Reference, const Context&, const Conv2d<double>&);
template void execute(Reference, const Context&, const Conv2dBackward<float>&);
template void execute(Reference, const Context&, const Conv2dBackward<bf16>&);
template void execute(Reference, const Context&, const Conv2dBackward<double>&);

}  // namespace unet::kernels
