#include "unet/instances.h"

#include <array>
#include <queue>

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

/// Leaves small objects out, and numbers the others by their first pixels.
void drop_small(Components& found, int64_t min_area_px) {
  std::vector<int64_t> area(static_cast<size_t>(found.count) + 1);
  for (const int32_t id : found.ids.data) ++area[static_cast<size_t>(id)];
  std::vector<int32_t> renamed(area.size(), 0);
  found.count = 0;
  for (int32_t& id : found.ids.data) {
    if (id == 0) continue;
    int32_t& name = renamed[static_cast<size_t>(id)];
    if (name == 0 && area[static_cast<size_t>(id)] >= min_area_px) name = ++found.count;
    id = name;
  }
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

void split_instances(Components& found, const Image& probability, const InstanceOptions& options) {
  if (probability.height != found.ids.height || probability.width != found.ids.width || probability.channels != 1) {
    throw ShapeError(concat("split_instances: expected probabilities of the size of the instances, ",
                            found.ids.shape_text(), ", got ", probability.shape_text()));
  }
  LabelMap strong = found.ids;
  for (size_t i = 0; i < strong.data.size(); ++i) {
    if (probability.data[i] < static_cast<float>(options.split)) strong.data[i] = 0;
  }
  fill_holes(strong, options.connectivity);
  for (size_t i = 0; i < strong.data.size(); ++i) {
    if (found.ids.data[i] == 0) strong.data[i] = 0;  // holes of the instances themselves stay
  }
  Components seeds = connected_components(strong, options.connectivity);
  drop_small(seeds, options.min_area_px);

  // Seeds of each instance; one alone is the instance.
  std::vector<int32_t> seeds_of(static_cast<size_t>(found.count) + 1), owner(static_cast<size_t>(seeds.count) + 1);
  for (size_t i = 0; i < strong.data.size(); ++i) {
    int32_t& known = owner[static_cast<size_t>(seeds.ids.data[i])];
    if (seeds.ids.data[i] == 0 || known != 0) continue;
    known = found.ids.data[i];
    ++seeds_of[static_cast<size_t>(known)];
  }
  const auto divided = [&](int64_t y, int64_t x) { return seeds_of[static_cast<size_t>(found.ids.at(y, x))] > 1; };

  struct Front {
    float probability;
    int64_t order, y, x;
    int32_t part;
    bool operator<(const Front& other) const {
      return probability != other.probability ? probability < other.probability : order > other.order;
    }
  };
  std::priority_queue<Front> fronts;
  int64_t order = 0;
  LabelMap parts(found.ids.height, found.ids.width);
  const auto claim = [&](int64_t y, int64_t x, int32_t part) {
    parts.at(y, x) = part;
    for (size_t i = 0; i < (options.connectivity == Connectivity::four ? 4U : 8U); ++i) {
      const int64_t ny = y + kNeighbours[i].dy, nx = x + kNeighbours[i].dx;
      if (neighbour(found.ids, y, x, kNeighbours[i]) != found.ids.at(y, x) || seeds.ids.at(ny, nx) != 0) continue;
      if (parts.at(ny, nx) == 0) fronts.push({probability.at(ny, nx), order++, ny, nx, part});
    }
  };
  for (int64_t y = 0; y < parts.height; ++y) {
    for (int64_t x = 0; x < parts.width; ++x) {
      if (divided(y, x) && seeds.ids.at(y, x) != 0) claim(y, x, found.count + seeds.ids.at(y, x));
    }
  }
  while (!fronts.empty()) {
    const Front front = fronts.top();
    fronts.pop();
    if (parts.at(front.y, front.x) == 0) claim(front.y, front.x, front.part);
  }
  for (size_t i = 0; i < parts.data.size(); ++i) {
    if (parts.data[i] != 0) found.ids.data[i] = parts.data[i];
  }
  found.count += seeds.count;
  drop_small(found, 1);  // numbers without gaps
}

Components find_instances(LabelMap classes, const InstanceOptions& options, const Image& probability) {
  const bool split = options.split > 0;
  if (options.fill_holes && !split) fill_holes(classes, options.connectivity);
  Components found = connected_components(classes, options.connectivity);
  if (split) split_instances(found, probability, options);
  if (options.fill_holes && split) fill_holes(found.ids, options.connectivity);  // not what several parts enclose
  if (options.min_area_px > 1) drop_small(found, options.min_area_px);
  if (options.regrow) regrow_separation(found.ids);
  return found;
}

}  // namespace unet
