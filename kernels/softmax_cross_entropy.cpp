#include "kernels/softmax_cross_entropy.h"

#include <cmath>

namespace unet::kernels {

template <class T>
void SoftmaxCrossEntropy<T>::check() const {
  require_present(kName, "x", x);
  require_shape(kName, "labels", labels, x.n, x.h, x.w, 1);
  if (weights) require_shape(kName, "weights", weights, x.n, x.h, x.w, 1);
  require_shape(kName, "loss", loss, 1, 1, 1, 1);
  require_apart(kName, "loss", loss, "x", x);
  if (dx) {
    require_same_shape(kName, "dx", dx, x);
    require_apart_or_identical(kName, "dx", dx, "x", x);
    require_apart(kName, "dx", dx, "labels", labels);
    require_apart(kName, "dx", dx, "weights", weights);
    require_apart(kName, "dx", dx, "loss", loss);
  }
  if (!std::isfinite(scale)) {
    throw ConfigError(concat(kName, ": scale: expected a finite number, got ", scale, " for x ", x.shape_text()));
  }
}

template <class T>
void SoftmaxCrossEntropy<T>::require_valid_pixel(int64_t n, int64_t h, int64_t w) const {
  const int32_t label = labels(n, h, w, 0);
  if (label < kIgnoreLabel || label >= x.c) {
    throw DataError(concat(kName, ": label: expected ", kIgnoreLabel, " (ignore) to ", x.c - 1, ", got ", label,
                           " in image ", n, ", row ", h, ", column ", w));
  }
  const float weight = weights ? weights(n, h, w, 0) : 1;
  if (!(weight >= 0 && std::isfinite(weight))) {
    throw DataError(concat(kName, ": weight: expected a finite number from 0, got ", weight, " in image ", n, ", row ",
                           h, ", column ", w));
  }
}

template struct SoftmaxCrossEntropy<float>;
template struct SoftmaxCrossEntropy<double>;

}  // namespace unet::kernels
