// First step of every convolution's backward pass: ReLU mask and bias gradient in one pass over dy.
#pragma once

#include "kernels/cpu/blocked.h"

namespace unet::kernels::cpu {

/// dy = dy * [y > 0] in place where y is given; db[k] = sum over pixels of the result where db is given.
/// Blocked views, gaps allowed. Sums a row in f32 and the rows in double: independent of the number of threads.
template <class T>
void mask_and_sum(const Context& context, const View<const T>& y, const View<T>& dy, const View<float>& db);

/// g of a backward pass as a dense blocked view: dy itself, overwritten, or a copy. `db` is written on the way.
template <class T>
class Gradient {
 public:
  /// `y` [N,P,Q,K] or empty; one of `dy` and `dy_wide`; `db` [K] or empty.
  Gradient(const Context& context, const View<const T>& y, const View<T>& dy, const View<const float>& dy_wide,
           const View<float>& db)
      : view_(dy) {
    if (!dy) {
      copy(context, dy_wide);
    } else if (!is_dense_blocked(dy)) {
      copy(context, View<const T>(dy));
    }
    if (!y || y.is_blocked()) {
      mask_and_sum(context, y, view_, db);
    } else {
      mask_and_sum(context, BlockedInput<T>(context, y).view(), view_, db);
    }
  }
  const View<T>& view() const { return view_; }

 private:
  template <class From>
  void copy(const Context& context, const View<const From>& dy) {
    copy_.emplace(*context.workspace, padded_size(dy));
    view_ = View<T>::blocked(copy_->data(), dy.n, dy.h, dy.w, dy.c);
    run(context, Cast<From, T>{.x = dy, .y = view_});
  }

  std::optional<Scratch<T>> copy_;
  View<T> view_;
};

}  // namespace unet::kernels::cpu
