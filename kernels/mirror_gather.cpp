#include "kernels/mirror_gather.h"

namespace unet::kernels {

template <class T>
void MirrorGather<T>::check() const {
  require_present(kName, "x", x);
  require_present(kName, "y", y);
  require_shape(kName, "y", y, x.n, y.h, y.w, x.c);
  require_apart(kName, "y", y, "x", x);
  constexpr int64_t limit = int64_t{1} << 40;
  if (top <= -limit || top >= limit || left <= -limit || left >= limit) {
    throw ShapeError(concat(kName, ": expected a window within 2^40 px of the image, got (", top, ",", left, ")"));
  }
}

template struct MirrorGather<float>;
template struct MirrorGather<bf16>;
template struct MirrorGather<double>;

}  // namespace unet::kernels
