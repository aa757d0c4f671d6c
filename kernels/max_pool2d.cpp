#include "kernels/max_pool2d.h"

namespace unet::kernels {
namespace {

template <class T>
void require_poolable(const char* op, const char* name, const View<T>& v) {
  require_present(op, name, v);
  if (v.h < 2 || v.w < 2) {
    throw ShapeError(concat(op, ": ", name, ": expected at least [", v.n, ",2,2,", v.c, "], got ", v.shape_text()));
  }
}

}  // namespace

template <class T>
void MaxPool2d<T>::check() const {
  require_poolable(kName, "x", x);
  require_shape(kName, "y", y, x.n, x.h / 2, x.w / 2, x.c);
  require_apart(kName, "y", y, "x", x);
  if (code) {
    require_shape(kName, "code", code, x.n, x.h / 2, x.w / 2, x.c);
    require_apart(kName, "code", code, "x", x);
    require_apart(kName, "code", code, "y", y);
  }
}

template <class T>
void MaxPool2dBackward<T>::check() const {
  require_poolable(kName, "dx", dx);
  require_shape(kName, "dy", dy, dx.n, dx.h / 2, dx.w / 2, dx.c);
  require_shape(kName, "code", code, dx.n, dx.h / 2, dx.w / 2, dx.c);
  require_apart(kName, "dx", dx, "dy", dy);
  require_apart(kName, "dx", dx, "code", code);
}

template struct MaxPool2d<float>;
template struct MaxPool2d<bf16>;
template struct MaxPool2d<double>;
template struct MaxPool2dBackward<float>;
template struct MaxPool2dBackward<bf16>;
template struct MaxPool2dBackward<double>;

}  // namespace unet::kernels
