#include "kernels/cast.h"

namespace unet::kernels {

template <class From, class To>
void Cast<From, To>::check() const {
  require_present(kName, "x", x);
  require_same_shape(kName, "y", y, x);
  require_apart(kName, "y", y, "x", x);
}

#define UNET_INSTANTIATE(From, To) template struct Cast<From, To>;
UNET_FOR_EACH_CAST(UNET_INSTANTIATE)
UNET_FOR_EACH_DOUBLE_CAST(UNET_INSTANTIATE)
#undef UNET_INSTANTIATE

}  // namespace unet::kernels
