// The small pages of cells (1) and membranes (0) on which the scores are known.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "unet/image.h"

namespace unet::test {

struct ScoredPage {
  LabelMap truth;
  Image prediction;
};

/// All cell but the columns.
inline LabelMap columns(int64_t height, int64_t width, const std::vector<int64_t>& membranes) {
  LabelMap cells(height, width, 1, 1);
  for (int64_t y = 0; y < height; ++y) {
    for (const int64_t x : membranes) cells.at(y, x) = 0;
  }
  return cells;
}

inline Image as_probability(const LabelMap& cells) {
  Image image(cells.height, cells.width);
  image.data.assign(cells.data.begin(), cells.data.end());
  return image;
}

/// A membrane with a hole in it.
inline ScoredPage merged() {
  const LabelMap truth = columns(7, 7, {3});
  LabelMap predicted = truth;
  predicted.at(3, 3) = 1;
  return {truth, as_probability(predicted)};
}

/// A membrane one pixel to the side.
inline ScoredPage shifted() { return {columns(7, 7, {3}), as_probability(columns(7, 7, {4}))}; }

/// A second membrane across the left cell.
inline ScoredPage split() {
  const LabelMap truth = columns(7, 7, {3});
  LabelMap predicted = truth;
  for (int64_t x = 0; x < 3; ++x) predicted.at(3, x) = 0;
  return {truth, as_probability(predicted)};
}

/// A pixel of membrane inside a cell.
inline ScoredPage pierced() {
  const LabelMap truth = columns(9, 9, {});
  LabelMap predicted = truth;
  predicted.at(4, 4) = 0;
  return {truth, as_probability(predicted)};
}

/// A membrane of one pixel, predicted five wide.
inline ScoredPage thick() { return {columns(7, 11, {5}), as_probability(columns(7, 11, {3, 4, 5, 6, 7}))}; }

}  // namespace unet::test
