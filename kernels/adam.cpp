#include "kernels/adam.h"

#include <cmath>

namespace unet::kernels {

template <class T>
void Adam<T>::check() const {
  for (const double rate : {lr, weight_decay, gradient_scale}) {
    if (!std::isfinite(rate)) {
      throw ConfigError(concat(kName, ": expected finite lr, weight_decay and gradient_scale, got ", lr, ", ",
                               weight_decay, " and ", gradient_scale));
    }
  }
  for (const double beta : {beta1, beta2}) {
    if (!(beta >= 0 && beta < 1)) {
      throw ConfigError(concat(kName, ": expected beta1 and beta2 in [0,1), got ", beta1, " and ", beta2));
    }
  }
  if (!(eps > 0 && std::isfinite(eps))) throw ConfigError(concat(kName, ": eps: expected above 0, got ", eps));
  if (step < 1) throw ConfigError(concat(kName, ": step: expected 1 for the first update, got ", step));
  for (size_t i = 0; i < parameters.size(); ++i) {
    const AdamParameter<T>& p = parameters[i];
    if (p.size < 0) throw ShapeError(concat(kName, ": parameter ", i, ": expected a size from 0, got ", p.size));
    if (p.size > 0 && !(p.w && p.dw && p.m && p.v)) {
      throw ShapeError(concat(kName, ": parameter ", i, ": expected w, dw, m and v of [", p.size, "] elements, got no ",
                              !p.w    ? "w"
                              : !p.dw ? "dw"
                              : !p.m  ? "m"
                                      : "v"));
    }
    if (!std::isfinite(p.lr_factor) || !std::isfinite(p.decay_factor)) {
      throw ConfigError(concat(kName, ": parameter ", i, ": expected finite factors, got lr_factor ", p.lr_factor,
                               " and decay_factor ", p.decay_factor));
    }
  }
}

template struct Adam<float>;
template struct Adam<double>;

}  // namespace unet::kernels
