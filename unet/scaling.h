// From the gray values of a file to what the network sees.
#pragma once

#include <vector>

#include "unet/config.h"
#include "unet/image_reader.h"

namespace unet {

/// Per channel v = (x - black) / (white - black), in [0,1] for the values it was made from; then v - centre.
/// The gray-value augmentation works between the two.
struct PixelScaling {
  std::vector<float> black, white;  // [channels]
  float centre = 0;

  /// In place: v. Throws ShapeError for another number of channels.
  void to_unit(Image& image) const;
  /// In place: v - centre.
  void apply(Image& image) const;
};

/// The scaling of every page of a file. `unit` and `centred` follow from the type of the samples (floating-point values
/// count as scaled already); the others read all pixels, in bands. Sources: see InputNormalisation.
std::vector<PixelScaling> pixel_scalings(InputNormalisation kind, ImageReader& reader);

}  // namespace unet
