// Channel-wise concatenation of an image with a (cropped) second one. Networks use Conv2d::x2, which moves no bytes.
#pragma once

#include "kernels/context.h"

namespace unet::kernels {

/// y[n,h,w,c] = x[n,h,w,c] for c < C1, x2[n,h,w,c-C1] otherwise. Crop x2 beforehand (View::centre_crop). Exact.
/// The gradient is two crops of channels of dy: CropConcatBackward.
template <class T>
struct CropConcat {
  using Element = T;
  static constexpr const char* kName = "crop_concat";

  View<const T> x;   // [N,H,W,C1]
  View<const T> x2;  // [N,H,W,C2]
  View<T> y;         // [N,H,W,C1+C2]

  void check() const;
};

/// dx = the first C1 channels of dy, dx2 = the others. Overwrites; an empty output is skipped. Exact.
template <class T>
struct CropConcatBackward {
  using Element = T;
  static constexpr const char* kName = "crop_concat_backward";

  View<const T> dy;  // [N,H,W,C1+C2]
  View<T> dx;        // [N,H,W,C1]
  View<T> dx2;       // [N,H,W,C2]
  int64_t c1 = 0;    // C1, needed where dx is empty

  void check() const;
};

UNET_DECLARE_OPERATION(CropConcat);
UNET_DECLARE_OPERATION(CropConcatBackward);

}  // namespace unet::kernels
