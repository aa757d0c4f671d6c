// Plain loops of the reference target.
#pragma once

#include "kernels/view.h"

namespace unet::kernels::reference {

/// Calls visit(n, h, w, c) for every element of v in logical NHWC order.
template <class T, class Visit>
void for_each_element(const View<T>& v, Visit visit) {
  for (int64_t n = 0; n < v.n; ++n) {
    for (int64_t h = 0; h < v.h; ++h) {
      for (int64_t w = 0; w < v.w; ++w) {
        for (int64_t c = 0; c < v.c; ++c) visit(n, h, w, c);
      }
    }
  }
}

/// Writes the zeros that a blocked view holds past its last channel.
template <class T>
void clear_padding(const View<T>& v) {
  if (!v.is_blocked()) return;
  for (int64_t n = 0; n < v.n; ++n) {
    for (int64_t h = 0; h < v.h; ++h) {
      for (int64_t w = 0; w < v.w; ++w) {
        for (int64_t c = v.c; c < round_up(v.c, kChannelBlock); ++c) v(n, h, w, c) = T{};
      }
    }
  }
}

}  // namespace unet::kernels::reference
