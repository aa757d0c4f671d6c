#include "kernels/fill.h"

namespace unet::kernels {

template <class T>
void Fill<T>::check() const {
  require_present(kName, "y", y);
}

template struct Fill<float>;
template struct Fill<bf16>;
template struct Fill<double>;
template struct Fill<uint8_t>;
template struct Fill<int32_t>;

}  // namespace unet::kernels
