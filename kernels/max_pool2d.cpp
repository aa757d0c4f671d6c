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
  if (skip) {
    require_present(kName, "skip", skip);
    require_shape(kName, "skip", skip, dx.n, skip.h, skip.w, dx.c);
    if (skip_top < 0 || skip_left < 0 || skip_top > dx.h - skip.h || skip_left > dx.w - skip.w) {
      throw ShapeError(concat(kName, ": skip: expected a place inside dx ", dx.shape_text(), ", got ",
                              skip.shape_text(), " at row ", skip_top, ", column ", skip_left));
    }
    require_apart(kName, "dx", dx, "skip", skip);
  }
  if (relu_y) {
    require_same_shape(kName, "relu_y", relu_y, dx);
    require_apart(kName, "dx", dx, "relu_y", relu_y);
  }
}

template struct MaxPool2d<float>;
template struct MaxPool2d<bf16>;
template struct MaxPool2d<double>;
template struct MaxPool2dBackward<float>;
template struct MaxPool2dBackward<bf16>;
template struct MaxPool2dBackward<double>;

}  // namespace unet::kernels
