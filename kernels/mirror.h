// Continuation of an image by mirroring at its border.
#pragma once

#include "kernels/types.h"

namespace unet {

/// Mirror index without repeating the edge ("reflect-101"): ..., 2, 1, 0, 1, 2, ..., n-2, n-1, n-2, ...
/// Any i; n == 1 gives 0. Source: Ronneberger et al. 2015, section 2 (mirroring); the authors' release.
UNET_HOST_DEVICE inline int64_t mirror(int64_t i, int64_t n) {
  if (n == 1) return 0;
  const int64_t period = 2 * n - 2;
  i = (i < 0 ? -i : i) % period;
  return i < n ? i : period - i;
}

}  // namespace unet
