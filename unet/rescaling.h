// Images seen at another resolution: windows of an enlarged or reduced image, and results brought back to its size.
#pragma once

#include "unet/inference.h"

namespace unet {

/// Size of a page enlarged by these factors, at least 1x1. Throws ConfigError unless factors are 0.01 to 100.
Size rescaled_size(Size page, double rows, double columns);

/// A filter along one axis from `from` to `to` pixels that cover the same length. Enlarging, it interpolates linearly;
/// reducing, the triangle is stretched to the larger pixels, so that nothing aliases. At the ends weights of pixels
/// outside are left out and the others scaled up; they always sum to 1.
class AxisFilter {
 public:
  AxisFilter(int64_t from, int64_t to);

  /// The source pixels first .. last that make pixel i.
  struct Reach {
    int64_t first, last;
  };
  Reach reach(int64_t i) const;
  /// Their weights, for reach(i).first and the following.
  std::vector<float> weights(int64_t i) const;

 private:
  int64_t from_, to_;
  double ratio_, radius_;  // source pixels per pixel; half the width of the triangle in source pixels
};

/// A whole image, or the labels of one, at another size: values interpolated as above, labels those of the nearest
/// pixels, at the middle between two the right or lower one.
Image rescaled(const Image& image, Size to);
LabelMap rescaled(const LabelMap& labels, Size to);

/// `read` of an image of size `from` as if the image had size `to`. Values do not depend on the window.
ReadWindow rescaled(const ReadWindow& read, Size from, Size to);

/// `write` of an image of size `to` as if it had size `from`: bands arrive in order, without gaps, and are passed on as
/// soon as their rows are complete. Holds as many rows as the filter is high.
WriteBand rescaled(const WriteBand& write, Size from, Size to);

}  // namespace unet
