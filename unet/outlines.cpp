#include "unet/outlines.h"

#include <array>

namespace unet {
namespace {

/// A way along the edges of pixels: east, south, west, north.
constexpr std::array<Corner, 4> kAhead{{{0, 1}, {1, 0}, {0, -1}, {-1, 0}}};
/// Relative to a corner, the pixel to the left and to the right of the edge that leaves it in each direction.
constexpr std::array<Corner, 4> kLeftPixel{{{-1, 0}, {0, 0}, {0, -1}, {-1, -1}}};
constexpr std::array<Corner, 4> kRightPixel{{{0, 0}, {0, -1}, {-1, -1}, {-1, 0}}};
constexpr size_t kEast = 0;

class Tracer {
 public:
  Tracer(const LabelMap& ids, Connectivity connectivity)
      : ids_(ids), joins_corners_(connectivity == Connectivity::eight), seen_(ids.height, ids.width) {}

  /// Whether an outline that was not traced yet runs along the upper edge of the pixel.
  bool starts_at(int64_t y, int64_t x) const { return seen_.at(y, x) == 0 && !inside(ids_.at(y, x), {y, x}, {-1, 0}); }

  Outline trace(int64_t y, int64_t x) {
    const int32_t id = ids_.at(y, x);
    const Corner start{y, x};
    Outline outline;
    Corner at = start;
    size_t direction = kEast;
    do {
      if (direction == kEast) seen_.at(at.y, at.x) = 1;
      at = {at.y + kAhead[direction].y, at.x + kAhead[direction].x};
      const size_t next = turn(id, at, direction);
      if (next != direction) outline.push_back(at);
      direction = next;
    } while (at != start || direction != kEast);
    return outline;
  }

 private:
  bool inside(int32_t id, Corner at, Corner offset) const {
    const int64_t y = at.y + offset.y, x = at.x + offset.x;
    return y >= 0 && x >= 0 && y < ids_.height && x < ids_.width && ids_.at(y, x) == id;
  }

  /// Direction in which the outline goes on from a corner that it reached in `direction`.
  size_t turn(int32_t id, Corner at, size_t direction) const {
    const bool left = inside(id, at, kLeftPixel[direction]), right = inside(id, at, kRightPixel[direction]);
    if (left && (right || joins_corners_)) return (direction + 3) % 4;
    return right ? direction : (direction + 1) % 4;
  }

  const LabelMap& ids_;
  bool joins_corners_;
  Grid<uint8_t> seen_;  // [H,W]: 1 where an outline runs along the pixel's upper edge
};

}  // namespace

std::vector<std::vector<Outline>> trace_outlines(const LabelMap& ids, int32_t count, Connectivity connectivity) {
  if (ids.channels != 1) {
    throw ShapeError("trace_outlines: expected a label map of one channel, got " + ids.shape_text());
  }
  std::vector<std::vector<Outline>> outlines(static_cast<size_t>(count));
  Tracer tracer(ids, connectivity);
  for (int64_t y = 0; y < ids.height; ++y) {
    for (int64_t x = 0; x < ids.width; ++x) {
      const int32_t id = ids.at(y, x);
      if (id <= 0 || !tracer.starts_at(y, x)) continue;
      if (id > count) throw DataError(concat("trace_outlines: expected ids of 1 to ", count, ", got ", id));
      outlines[static_cast<size_t>(id - 1)].push_back(tracer.trace(y, x));
    }
  }
  return outlines;
}

}  // namespace unet
