// Inverted dropout by counter-based random numbers. Its backward pass is the same operation on the gradient.
#pragma once

#include "kernels/context.h"
#include "kernels/philox.h"

namespace unet::kernels {

/// y = x / (1-p) where keep, else 0.  keep of element i = ((n*H + h)*W + w)*C + c, the logical NHWC index, is
/// uniform(word i%4 of philox(key, i/4)) >= p, so the mask does not depend on layout, target or
/// number of threads, and need not be stored. y may alias x. With `step`, a captured and replayed operation draws anew.
template <class T>
struct Dropout {
  using Element = T;
  static constexpr const char* kName = "dropout";

  View<const T> x;  // [N,H,W,C]
  View<T> y;        // [N,H,W,C]
  double p = 0.5;   // probability of zero, in [0,1)
  PhiloxKey key;
  const uint32_t* step =
      nullptr;  // [1], in the target's memory: taken for key.step when the operation executes; or null

  /// The key of an execution; on a device only kernels may ask.
  UNET_HOST_DEVICE PhiloxKey key_now() const {
    PhiloxKey now = key;
    if (step != nullptr) now.step = *step;
    return now;
  }

  void check() const;
};

UNET_DECLARE_OPERATION(Dropout);

}  // namespace unet::kernels
