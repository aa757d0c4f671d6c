#include "kernels/conv_transpose2d.h"

namespace unet::kernels {
namespace {

template <class T, class F, class Y>
void check_up_convolution(const char* op, const View<const T>& x, const View<F>& w, const Y& y, const char* y_name) {
  require_present(op, "x", x);
  require_present(op, "w", w);
  if (w.h != 2 || w.w != 2 || w.c != x.c) {
    throw ShapeError(concat(op, ": w: expected [K,2,2,", x.c, "] for x ", x.shape_text(), ", got ", w.shape_text()));
  }
  if (!w.is_nhwc() || !w.is_dense()) {
    throw TypeError(
        concat(op, ": w: expected dense filters [K,2,2,C], got gaps or channel blocks in ", w.shape_text()));
  }
  require_shape(op, y_name, y, x.n, 2 * x.h, 2 * x.w, w.n);
}

}  // namespace

template <class T>
void ConvTranspose2d<T>::check() const {
  check_up_convolution(kName, x, w, y, "y");
  if (b) require_shape(kName, "b", b, 1, 1, 1, w.n);
}

template <class T>
void ConvTranspose2dBackward<T>::check() const {
  check_up_convolution(kName, x, w, dy, "dy");
  if (y) require_same_shape(kName, "y", y, dy);
  if (dx) require_same_shape(kName, "dx", dx, x);
  if (dw) {
    require_same_shape(kName, "dw", dw, w);
    if (!dw.is_nhwc() || !dw.is_dense()) {
      throw TypeError(
          concat(kName, ": dw: expected dense filters [K,2,2,C], got gaps or channel blocks in ", dw.shape_text()));
    }
  }
  if (db) require_shape(kName, "db", db, 1, 1, 1, w.n);
}

template struct ConvTranspose2d<float>;
template struct ConvTranspose2d<bf16>;
template struct ConvTranspose2d<double>;
template struct ConvTranspose2dBackward<float>;
template struct ConvTranspose2dBackward<bf16>;
template struct ConvTranspose2dBackward<double>;

}  // namespace unet::kernels
