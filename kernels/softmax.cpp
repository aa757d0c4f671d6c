#include "kernels/softmax.h"

namespace unet::kernels {

template <class T>
void Softmax<T>::check() const {
  require_present(kName, "x", x);
  require_same_shape(kName, "y", y, x);
  require_apart_or_identical(kName, "y", y, "x", x);
}

template struct Softmax<float>;
template struct Softmax<double>;

}  // namespace unet::kernels
