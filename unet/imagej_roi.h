// Regions of interest in the binary format of ImageJ.
#pragma once

#include <string>
#include <vector>

#include "unet/outlines.h"

namespace unet {

struct ImagejRoi {
  std::string name;               // ASCII
  int64_t page = 0;               // of the stack, from 0
  int64_t slice = 0, frame = 0;   // from 0; told to ImageJ only where the stack has both
  bool is_hyperstack = false;     // ... which this says
  std::vector<Outline> outlines;  // at least one
};

/// The bytes of a .roi file. A single outline becomes a traced ROI, like the one of ImageJ's wand; several (holes) and
/// one beyond 16 bits (corners at 32768 px and more, over 65535 of them) a composite ROI. Throws ShapeError without
/// outlines. Source: ij.io.RoiDecoder of ImageJ 1.53, version 228 of the format: 64 bytes of header, coordinates, 64
/// bytes of a second header, name as UTF-16; all big-endian.
std::string encode_roi(const ImagejRoi& roi);

}  // namespace unet
