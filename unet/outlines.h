// Outlines of objects as polygons along the edges of their pixels.
#pragma once

#include <vector>

#include "unet/components.h"

namespace unet {

/// A corner between pixels: (0,0) is the upper left corner of the image, pixel (y,x) spans y..y+1 and x..x+1.
struct Corner {
  int64_t y = 0, x = 0;
  bool operator==(const Corner&) const = default;
};
/// A closed polygon of horizontal and vertical edges in turn; the last corner joins the first. The object lies to the
/// right of the way: clockwise around an object, counter-clockwise around a hole.
using Outline = std::vector<Corner>;

/// The outlines of every object: result[id - 1] for ids 1 .. count, each in row-major order of its first pixel's upper
/// left corner; empty for an id that does not occur. With Connectivity::eight pixels that share a corner share an
/// outline, which then touches itself there. Filled by the even-odd rule, the outlines of an id cover exactly its
/// pixels. Linear in the pixels. Throws ShapeError unless `ids` has one channel, DataError for an id above `count`.
std::vector<std::vector<Outline>> trace_outlines(const LabelMap& ids, int32_t count, Connectivity connectivity);

}  // namespace unet
