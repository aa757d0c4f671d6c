#include "kernels/dropout.h"

namespace unet::kernels {

template <class T>
void Dropout<T>::check() const {
  require_present(kName, "x", x);
  require_same_shape(kName, "y", y, x);
  require_apart_or_identical(kName, "y", y, "x", x);
  if (!(p >= 0 && p < 1)) {
    throw ConfigError(concat(kName, ": p: expected a probability in [0,1), got ", p, " for ", x.shape_text()));
  }
}

template struct Dropout<float>;
template struct Dropout<bf16>;
template struct Dropout<double>;

}  // namespace unet::kernels
