#include "kernels/add.h"

namespace unet::kernels {

template <class T>
void Add<T>::check() const {
  require_present(kName, "a", a);
  require_same_shape(kName, "b", b, a);
  require_same_shape(kName, "y", y, a);
  require_apart_or_identical(kName, "y", y, "a", a);
  require_apart_or_identical(kName, "y", y, "b", b);
}

template struct Add<float>;
template struct Add<bf16>;
template struct Add<double>;

}  // namespace unet::kernels
