#include "kernels/reduce.h"

namespace unet::kernels {

template <class T>
void Reduce<T>::check() const {
  require_present(kName, "x", x);
  if (result == nullptr) {
    throw ShapeError(concat(kName, ": result: expected a place for one number, got none, for x ", x.shape_text()));
  }
}

template struct Reduce<float>;
template struct Reduce<bf16>;
template struct Reduce<double>;

}  // namespace unet::kernels
