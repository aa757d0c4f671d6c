// From the gray values of a file to what the network sees.
#pragma once

#include <string>
#include <vector>

#include "unet/config.h"
#include "unet/image_reader.h"

namespace unet {

/// Per channel v = (x - black) / (white - black), in [0,1] for the values it was made from; then v - centre.
/// The gray-value augmentation works between the two.
struct PixelScaling {
  std::vector<float> black, white;  // [channels]
  float centre = 0;
  std::string page{};  // name of a page whose v have to lie in [0,1]; empty: any do

  /// In place: v. Throws ShapeError for another number of channels, DataError for values that do not lie in [0,1].
  void to_unit(Image& image) const;
  /// In place: v - centre.
  void apply(Image& image) const;
};

/// The scaling of every page of a file. `unit` and `centred` follow from the type of the samples (floating-point values
/// have to be scaled already, signed ones not negative); the others read all pixels, in bands. Sources: see
/// InputNormalisation.
std::vector<PixelScaling> pixel_scalings(InputNormalisation kind, ImageReader& reader);

}  // namespace unet
