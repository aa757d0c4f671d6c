#include "unet/separation.h"

#include <algorithm>
#include <span>

namespace unet {
namespace {

struct Step {
  int64_t dy, dx;
};
// The first four come before the pixel in row-major order.
constexpr Step kNeighbours[] = {{-1, -1}, {-1, 0}, {-1, 1}, {0, -1}, {0, 1}, {1, -1}, {1, 0}, {1, 1}};

}  // namespace

LabelMap separate_instances(const LabelMap& instances, const LabelMap& classes, SeparationBorder border) {
  if (instances.height != classes.height || instances.width != classes.width || instances.channels != 1 ||
      classes.channels != 1) {
    throw ShapeError(concat("separate_instances: expected instances and classes of one shape and one channel, got ",
                            instances.shape_text(), " and ", classes.shape_text()));
  }
  const std::span neighbours(kNeighbours, border == SeparationBorder::sym ? 8 : 4);
  const bool thin = border == SeparationBorder::thin;
  LabelMap carved = classes;
  for (int64_t y = 0; y < instances.height; ++y) {
    for (int64_t x = 0; x < instances.width; ++x) {
      const int32_t id = instances.at(y, x), kind = classes.at(y, x);
      if (id <= 0 || kind <= 0) continue;
      const bool touches = std::any_of(neighbours.begin(), neighbours.end(), [&](Step step) {
        const int64_t ny = y + step.dy, nx = x + step.dx;
        if (ny < 0 || nx < 0 || ny >= instances.height || nx >= instances.width) return false;
        if (thin && carved.at(ny, nx) == 0) return false;
        const int32_t other = instances.at(ny, nx);
        return other > 0 && other != id && classes.at(ny, nx) == kind;
      });
      if (touches) carved.at(y, x) = 0;
    }
  }
  return carved;
}

LabelMap separate_instances(const LabelMap& instances, SeparationBorder border) {
  LabelMap classes = instances;
  for (int32_t& label : classes.data) label = label > 0 ? 1 : label;
  return separate_instances(instances, classes, border);
}

}  // namespace unet
