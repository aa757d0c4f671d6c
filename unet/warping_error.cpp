#include "unet/warping_error.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "unet/components.h"

namespace unet {
namespace {

constexpr int64_t kWindowRadius = 20;  // px, in which a lost cell pixel is looked at

struct Offset {
  int64_t y, x;
};
constexpr std::array<Offset, 8> kNeighbours{{{-1, 0}, {-1, 1}, {0, 1}, {1, 1}, {1, 0}, {1, -1}, {0, -1}, {-1, -1}}};

/// Yokoi's connectivity number of a pixel among 4-connected cells: the pixel is simple where it is 1.
constexpr int connectivity_number(unsigned neighbours) {
  const auto cell = [neighbours](int k) { return static_cast<int>(neighbours >> k % 8 & 1); };
  int number = 0;
  for (int k = 0; k < 8; k += 2) number += cell(k) - cell(k) * cell(k + 1) * cell(k + 2);
  return number;
}

constexpr auto kSimple = [] {
  std::array<bool, 256> simple{};
  for (unsigned neighbours = 0; neighbours < 256; ++neighbours)
    simple[neighbours] = connectivity_number(neighbours) == 1;
  return simple;
}();

struct Mismatch {
  int64_t y, x;
  float sureness;  // |probability - threshold|
};

/// Pixels where truth and prediction differ, surest first, equals column by column.
std::vector<Mismatch> mismatches(const Image& probabilities, const LabelMap& truth, double threshold) {
  std::vector<Mismatch> found;
  for (int64_t x = 0; x < truth.width; ++x) {
    for (int64_t y = 0; y < truth.height; ++y) {
      const auto p = static_cast<double>(probabilities.at(y, x));
      if ((p > threshold) != (truth.at(y, x) > 0)) {
        found.push_back({y, x, static_cast<float>(std::abs(p - threshold))});
      }
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Mismatch& a, const Mismatch& b) { return a.sureness > b.sureness; });
  return found;
}

/// Cells as 0 and 1 in a frame of membrane.
Grid<uint8_t> framed_cells(const LabelMap& truth) {
  Grid<uint8_t> cells(truth.height + 2, truth.width + 2);
  for (int64_t y = 0; y < truth.height; ++y) {
    for (int64_t x = 0; x < truth.width; ++x) cells.at(y + 1, x + 1) = truth.at(y, x) > 0;
  }
  return cells;
}

/// Flips simple mismatches, in their order and again until none is simple. The mismatches left stay in the list.
void warp(Grid<uint8_t>& cells, std::vector<Mismatch>& left) {
  for (size_t before = left.size() + 1; left.size() < before;) {
    before = left.size();
    std::erase_if(left, [&](const Mismatch& mismatch) {
      uint8_t* const cell = &cells.at(mismatch.y + 1, mismatch.x + 1);
      unsigned neighbours = 0;
      for (size_t k = 0; k < 8; ++k) {
        neighbours |= static_cast<unsigned>(cell[kNeighbours[k].y * cells.width + kNeighbours[k].x]) << k;
      }
      if (kSimple[neighbours]) *cell ^= 1;
      return kSimple[neighbours];
    });
  }
}

/// Different ids among the neighbours of a pixel that the map has.
struct Surroundings {
  int64_t different = 0;
  int32_t largest = 0;

  Surroundings(const LabelMap& ids, int64_t y, int64_t x) {
    std::array<int32_t, 8> seen{};
    const auto end = [&] { return seen.begin() + different; };
    for (const Offset& offset : kNeighbours) {
      const int64_t ny = y + offset.y, nx = x + offset.x;
      if (ny < 0 || nx < 0 || ny >= ids.height || nx >= ids.width) continue;
      const int32_t id = ids.at(ny, nx);
      if (std::find(seen.begin(), end(), id) == end()) seen[static_cast<size_t>(different++)] = id;
    }
    largest = *std::max_element(seen.begin(), seen.end());
  }
};

/// Whether cell `id` falls apart around a pixel of it, as far as a window shows: floods what is left of the cell from
/// one neighbour of the pixel and counts the others that it reaches.
bool splits_cell(const LabelMap& ids, int32_t id, int64_t y, int64_t x) {
  const bool whole = kWindowRadius > ids.height || kWindowRadius > ids.width;  // as Fiji
  const int64_t radius = whole ? std::max(ids.height, ids.width) : kWindowRadius;
  const int64_t top = std::max<int64_t>(y - radius, 0), bottom = std::min(y + radius + 1, ids.height);
  const int64_t left = std::max<int64_t>(x - radius, 0), right = std::min(x + radius + 1, ids.width);
  Grid<uint8_t> visited(bottom - top, right - left);
  visited.at(y - top, x - left) = 1;
  std::vector<Offset> queue;
  const auto is_cell = [&](int64_t ny, int64_t nx) {
    return ny >= top && ny < bottom && nx >= left && nx < right && ids.at(ny, nx) == id;
  };
  const auto visit = [&](int64_t ny, int64_t nx) {
    if (!is_cell(ny, nx) || visited.at(ny - top, nx - left) != 0) return;
    visited.at(ny - top, nx - left) = 1;
    queue.push_back({ny, nx});
  };

  int64_t unreached = 0;
  for (const Offset& offset : kNeighbours) {
    if (!is_cell(y + offset.y, x + offset.x)) continue;
    if (unreached++ == 0) visit(y + offset.y, x + offset.x);
  }
  for (size_t next = 0; next < queue.size() && unreached > 0; ++next) {
    const Offset at = queue[next];
    if (std::abs(at.y - y) <= 1 && std::abs(at.x - x) <= 1) --unreached;
    for (size_t k = 0; k < 8; k += 2) visit(at.y + kNeighbours[k].y, at.x + kNeighbours[k].x);
  }
  return unreached > 0;
}

}  // namespace

bool is_simple(uint8_t neighbours) { return kSimple[neighbours]; }

WarpingMistakes warping_mistakes(const Image& probabilities, const LabelMap& truth, double threshold) {
  if (probabilities.shape_text() != truth.shape_text() || truth.channels != 1) {
    throw ShapeError(concat("warping error: expected a prediction and a truth of one channel and the same size, got ",
                            probabilities.shape_text(), " and ", truth.shape_text()));
  }
  std::vector<Mismatch> left = mismatches(probabilities, truth, threshold);
  Grid<uint8_t> cells = framed_cells(truth);
  warp(cells, left);

  LabelMap warped(truth.height, truth.width);
  for (int64_t y = 0; y < warped.height; ++y) {
    std::copy_n(&cells.at(y + 1, 1), warped.width, warped.data.begin() + y * warped.width);
  }
  const LabelMap ids = connected_components(warped, Connectivity::four).ids;
  WarpingMistakes mistakes;
  for (const auto& [y, x, sureness] : left) {
    const Surroundings around(ids, y, x);
    const bool cell = ids.at(y, x) > 0;
    if (around.different <= 1) {
      if (around.largest == 0) {
        ++(cell ? mistakes.object_deletions : mistakes.object_additions);
      } else {
        ++(cell ? mistakes.hole_additions : mistakes.hole_deletions);
      }
    } else if (around.different == 2) {
      if (!cell) {
        ++mistakes.hole_additions;
      } else {
        ++(splits_cell(ids, around.largest, y, x) ? mistakes.splits : mistakes.hole_deletions);
      }
    } else {
      ++(cell ? mistakes.splits : mistakes.merges);
    }
  }
  return mistakes;
}

}  // namespace unet
