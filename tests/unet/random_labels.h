// Random label maps for property tests.
#pragma once

#include <algorithm>

#include "unet/image.h"
#include "unet/random.h"

namespace unet::test {

/// Map of `step`: one of many sizes from 1x1 to max_side x max_side, up to `max_labels` labels, from single pixels to
/// large overlapping boxes, on background 0.
inline LabelMap random_labels(uint32_t step, int64_t max_side, int64_t max_labels) {
  RandomStream random(2015, Purpose::synthetic_shape, step);
  LabelMap labels(1 + random.below(max_side), 1 + random.below(max_side));
  const int64_t boxes = random.below(3 * max_labels + 1), largest = 1 + random.below(max_side);
  for (int64_t i = 0; i < boxes; ++i) {
    const auto label = static_cast<int32_t>(1 + random.below(max_labels));
    const int64_t y0 = random.below(labels.height), x0 = random.below(labels.width);
    const int64_t height = 1 + random.below(largest), width = 1 + random.below(largest);
    for (int64_t y = y0; y < std::min(y0 + height, labels.height); ++y) {
      for (int64_t x = x0; x < std::min(x0 + width, labels.width); ++x) labels.at(y, x) = label;
    }
  }
  return labels;
}

template <class T>
Grid<T> transposed(const Grid<T>& grid) {
  Grid<T> out(grid.width, grid.height);
  for (int64_t y = 0; y < grid.height; ++y) {
    for (int64_t x = 0; x < grid.width; ++x) out.at(x, y) = grid.at(y, x);
  }
  return out;
}

template <class T>
Grid<T> upside_down(const Grid<T>& grid) {
  Grid<T> out(grid.height, grid.width);
  for (int64_t y = 0; y < grid.height; ++y) {
    for (int64_t x = 0; x < grid.width; ++x) out.at(grid.height - 1 - y, x) = grid.at(y, x);
  }
  return out;
}

}  // namespace unet::test
