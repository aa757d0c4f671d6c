#include "kernels/relu.h"

namespace unet::kernels {

template <class T>
void Relu<T>::check() const {
  require_present(kName, "x", x);
  require_same_shape(kName, "y", y, x);
  require_apart_or_identical(kName, "y", y, "x", x);
}

template <class T>
void ReluBackward<T>::check() const {
  require_present(kName, "y", y);
  require_same_shape(kName, "dy", dy, y);
  require_same_shape(kName, "dx", dx, y);
  require_apart_or_identical(kName, "dx", dx, "dy", dy);
  require_apart(kName, "dx", dx, "y", y);
}

template struct Relu<float>;
template struct Relu<bf16>;
template struct Relu<double>;
template struct ReluBackward<float>;
template struct ReluBackward<bf16>;
template struct ReluBackward<double>;

}  // namespace unet::kernels
