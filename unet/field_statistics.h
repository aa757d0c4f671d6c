// How strong random displacement fields are, measured; rms_displacement() is the closed form.
#pragma once

#include "unet/deformation.h"

namespace unet {

/// Of one field, or of several together.
struct FieldStatistics {
  double rms = 0;                // px, of a component, over all pixels
  double largest = 0;            // px, length of the longest displacement
  double smallest_jacobian = 1;  // determinant of the derivative of x + u(x); below 0 the image folds over itself
};

/// Derivatives are differences between neighbouring pixels. Tiles of at least 2x2 pixels have any.
FieldStatistics measure_field(const DisplacementField& field, Size tile);

/// Over the fields of samples 0 .. count-1. Without deformation the field is 0.
FieldStatistics measure_fields(const AugmentationConfig& config, Size tile, uint64_t seed, uint32_t count);

}  // namespace unet
