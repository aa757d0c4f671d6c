// Connected components of label maps.
#pragma once

#include "unet/image.h"

namespace unet {

enum class Connectivity : uint8_t {
  four = 4,  // pixels that share an edge
  eight = 8  // ... or a corner
};

struct Components {
  LabelMap ids;  // [H,W,1]; 1 .. count in row-major order of first pixels, 0 elsewhere
  int32_t count = 0;
};

/// Regions of connected pixels of one label; labels 0 and below belong to no region. Two passes with union-find, time
/// linear in the pixels. Throws ShapeError unless `labels` has one channel, DataError beyond 2^31 - 1 regions.
Components connected_components(const LabelMap& labels, Connectivity connectivity);

}  // namespace unet
