// Rows of pixels: how the element-wise kernels of the cpu target walk over views of any mix of layouts.
#pragma once

#include <algorithm>

#include "kernels/context.h"

namespace unet::kernels::cpu {

/// Below this many elements, starting threads costs more than the work.
inline constexpr int64_t kSerialElements = int64_t{1} << 14;

inline int threads_for(const Context& context, int64_t elements) {
  return elements < kSerialElements ? 1 : context.threads;
}

/// A row of pixels and the channels [c, c+lanes) of each, which every view stores together.
struct Row {
  int64_t index;  // of all rows
  int64_t n, h;
  int64_t c, lanes;

  template <class T>
  T* of(const View<T>& v) const {
    return &v(n, h, 0, c);
  }
};

/// How views of equal N, H and C divide into rows. Blocked views alone: 16 channels a row, padding included, so that a
/// kernel which maps zeros to zeros keeps the padding zero. Channels-last views alone: all channels. Any mixture: up to
/// 16 channels, without padding. Empty views do not matter.
class Rows {
 public:
  template <class T, class... Ts>
  explicit Rows(const View<T>& v, const View<Ts>&... others)
      : h_(v.h),
        c_(v.c),
        is_padded_(v.is_blocked() && ((!others || others.is_blocked()) && ...)),
        group_(v.is_nhwc() && ((!others || others.is_nhwc()) && ...) ? v.c : kChannelBlock),
        groups_(ceil_div(v.c, group_)),
        is_mixed_(!is_padded_ && group_ != v.c),
        count_(v.n * groups_ * v.h) {}

  int64_t count() const { return count_; }

  Row operator[](int64_t index) const {
    // Rows of a blocked image follow one another; of a mixture, all channels of a row do, which stay in the cache.
    const int64_t c = (is_mixed_ ? index % groups_ : index / h_ % groups_) * group_;
    return {.index = index,
            .n = index / h_ / groups_,
            .h = is_mixed_ ? index / groups_ % h_ : index % h_,
            .c = c,
            .lanes = is_padded_ ? kChannelBlock : std::min(group_, c_ - c)};
  }

 private:
  int64_t h_, c_;
  bool is_padded_;
  int64_t group_, groups_;
  bool is_mixed_;
  int64_t count_;
};

/// Calls visit(row) for every row, in parallel. `elements` is the work as a whole.
template <class Visit>
void for_each_row(const Context& context, const Rows& rows, int64_t elements, Visit visit) {
  const int64_t count = rows.count();
#pragma omp parallel for num_threads(threads_for(context, elements)) schedule(static)
  for (int64_t i = 0; i < count; ++i) visit(rows[i]);
}

/// Calls visit(lanes) with a compile-time 16 where it is 16: the loop over lanes becomes a few vector instructions.
template <class Visit>
void with_lanes(int64_t lanes, Visit visit) {
  if (lanes == kChannelBlock) {
    visit(std::integral_constant<int64_t, kChannelBlock>{});
  } else {
    visit(lanes);
  }
}

/// Clears the padding of one pixel of v, of which a kernel wrote `lanes` channels.
template <class T>
void clear_padding(const View<T>& v, T* pixel, int64_t lanes) {
  if (v.is_blocked() && lanes < kChannelBlock) std::fill(pixel + lanes, pixel + kChannelBlock, T{});
}

template <class F, class Y, class... X>
void map_run(int64_t count, F f, Y* y, const X*... x) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = f(x[i]...);
}

/// y = f(x...) element by element. f(0...) must be 0; y may be identical to an x.
template <class F, class Y, class... X>
void map_elements(const Context& context, F f, const View<Y>& y, const View<const X>&... x) {
  for_each_row(context, Rows(y, x...), y.size(), [&](const Row& row) {
    if (y.stride_w == row.lanes && ((x.stride_w == row.lanes) && ...)) {
      map_run(y.w * row.lanes, f, row.of(y), row.of(x)...);
      return;
    }
    with_lanes(row.lanes, [&](int64_t lanes) {
      for (int64_t w = 0; w < y.w; ++w) {
        Y* pixel = row.of(y) + w * y.stride_w;
        map_run(lanes, f, pixel, (row.of(x) + w * x.stride_w)...);
        clear_padding(y, pixel, lanes);
      }
    });
  });
}

/// Sum in the order of a binary tree over the indices: accurate, and the same for every number of threads.
inline double tree_sum(const double* x, int64_t count) {
  if (count <= 2) return count == 0 ? 0 : count == 1 ? x[0] : x[0] + x[1];
  const int64_t half = count / 2;
  return tree_sum(x, half) + tree_sum(x + half, count - half);
}

}  // namespace unet::kernels::cpu
