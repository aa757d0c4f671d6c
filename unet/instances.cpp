#include "unet/instances.h"

#include <array>

namespace unet {
namespace {

struct Step {
  int64_t dy, dx;
};
constexpr std::array<Step, 8> kNeighbours{{{0, 1}, {1, 0}, {0, -1}, {-1, 0}, {1, 1}, {1, -1}, {-1, -1}, {-1, 1}}};

/// Label next to a pixel, 0 outside of the image.
int32_t neighbour(const LabelMap& labels, int64_t y, int64_t x, Step step) {
  y += step.dy, x += step.dx;
  return y < 0 || x < 0 || y >= labels.height || x >= labels.width ? 0 : labels.at(y, x);
}

void drop_small(Components& found, int64_t min_area_px) {
  std::vector<int64_t> area(static_cast<size_t>(found.count) + 1);
  for (const int32_t id : found.ids.data) ++area[static_cast<size_t>(id)];
  std::vector<int32_t> renamed(area.size(), 0);
  found.count = 0;
  for (size_t id = 1; id < area.size(); ++id) {
    if (area[id] >= min_area_px) renamed[id] = ++found.count;
  }
  for (int32_t& id : found.ids.data) id = renamed[static_cast<size_t>(id)];
}

}  // namespace

void fill_holes(LabelMap& labels, Connectivity connectivity) {
  constexpr int32_t kOpen = -1;  // reaches the edge, or lies between different labels
  LabelMap background(labels.height, labels.width);
  for (size_t i = 0; i < background.data.size(); ++i) background.data[i] = labels.data[i] == 0 ? 1 : 0;
  const Components regions =
      connected_components(background, connectivity == Connectivity::four ? Connectivity::eight : Connectivity::four);
  std::vector<int32_t> around(static_cast<size_t>(regions.count) + 1, 0);  // label around each region; 0: none seen yet
  for (int64_t y = 0; y < labels.height; ++y) {
    for (int64_t x = 0; x < labels.width; ++x) {
      if (labels.at(y, x) != 0) continue;
      int32_t& known = around[static_cast<size_t>(regions.ids.at(y, x))];
      if (y == 0 || x == 0 || y == labels.height - 1 || x == labels.width - 1) known = kOpen;
      for (size_t i = 0; i < 4; ++i) {
        const int32_t label = neighbour(labels, y, x, kNeighbours[i]);
        if (label != 0 && known != label) known = known == 0 ? label : kOpen;
      }
    }
  }
  for (size_t i = 0; i < labels.data.size(); ++i) {
    const int32_t label = around[static_cast<size_t>(regions.ids.data[i])];
    if (labels.data[i] == 0 && label != kOpen) labels.data[i] = label;
  }
}

void regrow_separation(LabelMap& ids) {
  const LabelMap before = ids;
  for (int64_t y = 0; y < ids.height; ++y) {
    for (int64_t x = 0; x < ids.width; ++x) {
      if (before.at(y, x) != 0) continue;
      for (const Step step : kNeighbours) {
        const int32_t touched = neighbour(before, y, x, step);
        if (touched == 0) continue;
        const int32_t across = neighbour(before, y, x, {-step.dy, -step.dx});
        const int32_t behind = neighbour(before, y, x, {-2 * step.dy, -2 * step.dx});
        if ((across != 0 && across != touched) || (across == 0 && behind != 0 && behind != touched)) {
          ids.at(y, x) = touched;
          break;
        }
      }
    }
  }
}

Components find_instances(LabelMap classes, const InstanceOptions& options) {
  if (options.fill_holes) fill_holes(classes, options.connectivity);
  Components found = connected_components(classes, options.connectivity);
  if (options.min_area_px > 1) drop_small(found, options.min_area_px);
  if (options.regrow) regrow_separation(found.ids);
  return found;
}

}  // namespace unet
