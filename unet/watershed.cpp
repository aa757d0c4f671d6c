#include "unet/watershed.h"

#include <algorithm>
#include <array>

namespace unet {
namespace {

enum State : int32_t { kDam = 0, kDry = -1, kQueued = -2, kOutside = -3 };  // of pixels that are in no basin

/// With a frame of kOutside, so that every pixel has four neighbours.
LabelMap framed(const LabelMap& basins) {
  LabelMap labels(basins.height + 2, basins.width + 2, 1, kOutside);
  for (int64_t y = 0; y < basins.height; ++y) {
    for (int64_t x = 0; x < basins.width; ++x) labels.at(y + 1, x + 1) = basins.at(y, x) > 0 ? basins.at(y, x) : kDry;
  }
  return labels;
}

}  // namespace

LabelMap watershed(const LabelMap& basins) {
  if (basins.channels != 1) {
    throw ShapeError("watershed: expected a label map of one channel, got " + basins.shape_text());
  }
  if (std::none_of(basins.data.begin(), basins.data.end(), [](int32_t id) { return id > 0; })) {
    return {basins.height, basins.width, 1, 1};
  }

  LabelMap labels = framed(basins);
  int32_t* const label = labels.data.data();
  const std::array<int64_t, 4> neighbours{-1, -labels.width, 1, labels.width};
  std::vector<int64_t> queue;
  for (int64_t x = 1; x <= basins.width; ++x) {
    for (int64_t y = 1; y <= basins.height; ++y) {
      const int64_t at = y * labels.width + x;
      const auto is_basin = [&](int64_t offset) { return label[at + offset] > 0; };
      if (label[at] != kDry || std::none_of(neighbours.begin(), neighbours.end(), is_basin)) continue;
      label[at] = kQueued;
      queue.push_back(at);
    }
  }

  for (size_t next = 0; next < queue.size(); ++next) {
    const int64_t at = queue[next];
    int32_t& own = label[at];
    bool follows_dam = false;  // it is a dam only because it touches one
    for (const int64_t offset : neighbours) {
      int32_t& other = label[at + offset];
      if (other > 0) {
        if (own == kQueued || (own == kDam && follows_dam)) {
          own = other;
        } else if (own > 0 && own != other) {
          own = kDam;
          follows_dam = false;
        }
      } else if (other == kDam && own == kQueued) {
        own = kDam;
        follows_dam = true;
      } else if (other == kDry) {
        other = kQueued;
        queue.push_back(at + offset);
      }
    }
  }

  LabelMap filled(basins.height, basins.width);
  for (int64_t y = 0; y < filled.height; ++y) {
    std::copy_n(&labels.at(y + 1, 1), filled.width, filled.data.begin() + y * filled.width);
  }
  return filled;
}

}  // namespace unet
