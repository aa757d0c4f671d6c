// An image turned by an angle, window by window, and scores turned back.
#pragma once

#include "unet/tile.h"

namespace unet {

/// A turn of an image about the pixel (height / 2, width / 2). The turned image has no bounds: its pixel (0,0) is the
/// pixel that stays, and the original continues by mirroring. Values lie between pixels of the other image and are
/// interpolated linearly; they do not depend on the windows in which they are computed.
class Turn {
 public:
  Turn(Size image, double radians);

  /// Size of windows that hold all turned pixels needed to turn any `kept` window back, their origins rounded down to
  /// multiples of `step`.
  Size window_size(Size kept, int64_t step) const;
  /// The turned pixels needed to turn these pixels of the image back; no larger than window_size().
  Rect window(const Rect& kept, int64_t step) const;

  /// The turned image in a window: [window.height, window.width, channels].
  Image turned(const ReadWindow& read, const Rect& window) const;
  /// Adds to `sum` [kept.height, kept.width, channels] what a window of turned values says about these pixels.
  void add_back(const Image& values, const Rect& window, const Rect& kept, Image& sum) const;

 private:
  struct Point {
    double y, x;
  };
  Point to_image(double v, double u) const;
  Point to_turned(double y, double x) const;

  Size image_;
  double centre_y_, centre_x_, cosine_, sine_;
};

}  // namespace unet
