#include "kernels/reduce.h"

namespace unet::kernels {

template <class T>
void Reduce<T>::check() const {
  require_present(kName, "x", x);
  if (result == nullptr) {
    throw ShapeError(concat(kName, ": result: expected a place for one number, got none, for x ", x.shape_text()));
  }
}

template <class T>
void SumOfSquares<T>::check() const {
  if (result == nullptr) {
    throw ShapeError(
        concat(kName, ": result: expected a place for one number, got none, for ", arrays.size(), " arrays"));
  }
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i].data() == nullptr && !arrays[i].empty()) {
      throw ShapeError(concat(kName, ": array ", i, ": expected [", arrays[i].size(), "] elements, got no data"));
    }
  }
}

template struct Reduce<float>;
template struct Reduce<bf16>;
template struct Reduce<double>;
template struct SumOfSquares<float>;
template struct SumOfSquares<double>;

}  // namespace unet::kernels
