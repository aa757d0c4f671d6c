#include "kernels/sgd.h"

#include <cmath>

namespace unet::kernels {

template <class T>
void Sgd<T>::check() const {
  for (const double rate : {lr, weight_decay, gradient_scale}) {
    if (!std::isfinite(rate)) {
      throw ConfigError(concat(kName, ": expected finite lr, weight_decay and gradient_scale, got ", lr, ", ",
                               weight_decay, " and ", gradient_scale));
    }
  }
  if (!(momentum >= 0 && momentum < 1)) {
    throw ConfigError(concat(kName, ": momentum: expected a number in [0,1), got ", momentum));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const SgdParameter<T>& p = parameters[i];
    if (p.size < 0) throw ShapeError(concat(kName, ": parameter ", i, ": expected a size from 0, got ", p.size));
    if (p.size > 0 && !(p.w && p.dw && p.v)) {
      throw ShapeError(concat(kName, ": parameter ", i, ": expected w, dw and v of [", p.size, "] elements, got no ",
                              !p.w    ? "w"
                              : !p.dw ? "dw"
                                      : "v"));
    }
    if (!std::isfinite(p.lr_factor) || !std::isfinite(p.decay_factor)) {
      throw ConfigError(concat(kName, ": parameter ", i, ": expected finite factors, got lr_factor ", p.lr_factor,
                               " and decay_factor ", p.decay_factor));
    }
  }
}

template struct Sgd<float>;
template struct Sgd<double>;

}  // namespace unet::kernels
