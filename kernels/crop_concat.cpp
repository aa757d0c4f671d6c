#include "kernels/crop_concat.h"

namespace unet::kernels {

template <class T>
void CropConcat<T>::check() const {
  require_present(kName, "x", x);
  require_present(kName, "x2", x2);
  require_shape(kName, "x2", x2, x.n, x.h, x.w, x2.c);
  require_shape(kName, "y", y, x.n, x.h, x.w, x.c + x2.c);
  require_apart(kName, "y", y, "x", x);
  require_apart(kName, "y", y, "x2", x2);
}

template <class T>
void CropConcatBackward<T>::check() const {
  require_present(kName, "dy", dy);
  if (c1 < 1 || c1 >= dy.c) {
    throw ShapeError(
        concat(kName, ": c1: expected 1 to ", dy.c - 1, " channels of dy ", dy.shape_text(), ", got ", c1));
  }
  if (dx) require_shape(kName, "dx", dx, dy.n, dy.h, dy.w, c1);
  if (dx2) require_shape(kName, "dx2", dx2, dy.n, dy.h, dy.w, dy.c - c1);
  require_apart(kName, "dx", dx, "dy", dy);
  require_apart(kName, "dx2", dx2, "dy", dy);
  require_apart(kName, "dx", dx, "dx2", dx2);
}

template struct CropConcat<float>;
template struct CropConcat<bf16>;
template struct CropConcat<double>;
template struct CropConcatBackward<float>;
template struct CropConcatBackward<bf16>;
template struct CropConcatBackward<double>;

}  // namespace unet::kernels
