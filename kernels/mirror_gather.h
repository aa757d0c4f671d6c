// Window of an image that is continued by mirroring: the tile that overlap-tile inference reads.
#pragma once

#include "kernels/context.h"
#include "kernels/mirror.h"

namespace unet::kernels {

/// y[n,h,w,c] = x[n, mirror(top+h, H), mirror(left+w, W), c], rounded to T. The window may lie anywhere, and be larger
/// than the image. y must not alias x. Exact but for the rounding. Throws ShapeError.
/// Source: Ronneberger et al. 2015, figure 2.
template <class T>
struct MirrorGather {
  using Element = T;  // float, bf16 or double
  static constexpr const char* kName = "mirror_gather";

  View<const float> x;        // [N,H,W,C]
  int64_t top = 0, left = 0;  // of the window, in px of x; below 2^40 in magnitude
  View<T> y;                  // [N,h,w,C]

  void check() const;
};

UNET_DECLARE_OPERATION(MirrorGather);

}  // namespace unet::kernels
