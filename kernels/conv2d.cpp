#include "kernels/conv2d.h"

namespace unet::kernels {
namespace {

// Shapes of what an unpadded convolution reads.
template <class T, class F>
void check_inputs(const char* op, const View<const T>& x, const View<const T>& x2, const View<F>& w) {
  require_present(op, "x", x);
  require_present(op, "w", w);
  if (!w.is_nhwc() || !w.is_dense()) {
    throw TypeError(
        concat(op, ": w: expected dense filters [K,R,S,C], got gaps or channel blocks in ", w.shape_text()));
  }
  if (x2) require_shape(op, "x2", x2, x.n, x.h, x.w, x2.c);
  const int64_t channels = x.c + (x2 ? x2.c : 0);
  if (w.c != channels) {
    throw ShapeError(concat(op, ": w: expected [K,R,S,", channels, "] for x ", x.shape_text(), " and x2 ",
                            x2.shape_text(), ", got ", w.shape_text()));
  }
  if (x.h < w.h || x.w < w.w) {
    throw ShapeError(concat(op, ": x: expected at least ", w.h, "x", w.w, " pixels for filters ", w.shape_text(),
                            ", got ", x.shape_text()));
  }
}

// Shape of the image of K channels: y or y_wide, dy or dy_wide.
template <class T, class F, class Y>
void check_output(const char* op, const char* name, const View<const T>& x, const View<F>& w, const Y& y) {
  require_shape(op, name, y, x.n, x.h - w.h + 1, x.w - w.w + 1, w.n);
}

// Exactly one of the two forms of an operand is given.
void check_one(const char* op, const char* name, bool plain, bool wide) {
  if (plain == wide) {
    throw ShapeError(concat(op, ": expected either ", name, " or ", name, "_wide, got ", plain ? "both" : "neither"));
  }
}

}  // namespace

template <class T>
void Conv2d<T>::check() const {
  check_one(kName, "y", y || pooled, bool(y_wide));
  check_inputs(kName, x, x2, w);
  if (y) check_output(kName, "y", x, w, y);
  if (y_wide) check_output(kName, "y_wide", x, w, y_wide);
  if (b) require_shape(kName, "b", b, 1, 1, 1, w.n);
  if (pooled) {
    const int64_t rows = x.h - w.h + 1, columns = x.w - w.w + 1;
    if (rows < 2 || columns < 2) {
      throw ShapeError(
          concat(kName, ": pooled: expected a result of at least 2x2 pixels to pool, got ", rows, "x", columns));
    }
    require_shape(kName, "pooled", pooled, x.n, rows / 2, columns / 2, w.n);
    require_apart(kName, "pooled", pooled, "y", y);
  }
  if (pool_code) require_same_shape(kName, "pool_code", pool_code, pooled);
}

template <class T>
void Conv2dBackward<T>::check() const {
  check_one(kName, "dy", bool(dy), bool(dy_wide));
  check_inputs(kName, x, x2, w);
  if (dy) check_output(kName, "dy", x, w, dy);
  if (dy_wide) check_output(kName, "dy_wide", x, w, dy_wide);
  if (y) check_output(kName, "y", x, w, y);
  if (dx) require_same_shape(kName, "dx", dx, x);
  if (dx2) {
    if (!x2) throw ShapeError(concat(kName, ": dx2: expected none without x2, got ", dx2.shape_text()));
    require_same_shape(kName, "dx2", dx2, x2);
  }
  if (dw) {
    require_same_shape(kName, "dw", dw, w);
    if (!dw.is_nhwc() || !dw.is_dense()) {
      throw TypeError(
          concat(kName, ": dw: expected dense filters [K,R,S,C], got gaps or channel blocks in ", dw.shape_text()));
    }
  }
  if (db) require_shape(kName, "db", db, 1, 1, 1, w.n);
}

template struct Conv2d<float>;
template struct Conv2d<bf16>;
template struct Conv2d<double>;
template struct Conv2dBackward<float>;
template struct Conv2dBackward<bf16>;
template struct Conv2dBackward<double>;

}  // namespace unet::kernels
