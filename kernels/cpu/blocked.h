// Operands as dense blocked views: in place where they are, through a copy in scratch where they are not.
#pragma once

#include <optional>

#include "kernels/cast.h"

namespace unet::kernels::cpu {

template <class T>
bool is_dense_blocked(const View<T>& v) {
  return v.is_blocked() && v.is_dense();
}

/// Elements of a dense blocked view, padding channels included.
template <class T>
int64_t padded_size(const View<T>& v) {
  return v.pixels() * round_up(v.c, kChannelBlock);
}

/// A dense blocked view to read: `v` itself or a copy, converted to T.
template <class T>
class BlockedInput {
 public:
  template <class From>
  BlockedInput(const Context& context, const View<const From>& v) {
    if constexpr (std::is_same_v<From, T>) {
      if (is_dense_blocked(v)) {
        view_ = v;
        return;
      }
    }
    copy_.emplace(*context.workspace, padded_size(v));
    const auto copy = View<T>::blocked(copy_->data(), v.n, v.h, v.w, v.c);
    run(context, Cast<From, T>{.x = v, .y = copy});
    view_ = copy;
  }
  const View<const T>& view() const { return view_; }

 private:
  std::optional<Scratch<T>> copy_;
  View<const T> view_;
};

/// A dense blocked view to write: `v` itself, or scratch that store() copies to `v`.
template <class T>
class BlockedOutput {
 public:
  BlockedOutput(const Context& context, const View<T>& v) : context_(&context), target_(v), view_(v) {
    if (is_dense_blocked(v)) return;
    copy_.emplace(*context.workspace, padded_size(v));
    view_ = View<T>::blocked(copy_->data(), v.n, v.h, v.w, v.c);
  }
  const View<T>& view() const { return view_; }
  void store() const {
    if (copy_) run(*context_, Cast<T, T>{.x = view_, .y = target_});
  }

 private:
  const Context* context_;
  View<T> target_;
  std::optional<Scratch<T>> copy_;
  View<T> view_;
};

}  // namespace unet::kernels::cpu
