#include "unet/markers.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "unet/components.h"
#include "unet/instance_distance.h"

namespace unet {
namespace {

void require_shape(const LabelMap& markers, const LabelMap& instances) {
  if (markers.height != instances.height || markers.width != instances.width || markers.channels != 1 ||
      instances.channels != 1) {
    throw ShapeError(concat("markers: expected markers and labels of one shape and one channel, got ",
                            markers.shape_text(), " and ", instances.shape_text()));
  }
}

/// For each labelled object that has a mark inside: the largest distance of its pixels from any mark.
std::vector<double> reaches(const LabelMap& marks, const LabelMap& instances) {
  LabelMap any_mark = marks;
  for (int32_t& mark : any_mark.data) mark = std::min(mark, 1);
  const Grid<int64_t> squared_distance = instance_distances(any_mark).first;
  struct Reach {
    bool marked = false;
    int64_t squared = 0;
  };
  std::map<int32_t, Reach> of;
  for (size_t i = 0; i < instances.data.size(); ++i) {
    if (instances.data[i] <= 0) continue;
    Reach& reach = of[instances.data[i]];
    reach.marked = reach.marked || any_mark.data[i] > 0;
    reach.squared = std::max(reach.squared, squared_distance.data[i]);
  }
  std::vector<double> all;
  for (const auto& [id, reach] : of) {
    if (reach.marked) all.push_back(std::sqrt(static_cast<double>(reach.squared)));
  }
  return all;
}

}  // namespace

MarkedPage compare_markers(const LabelMap& markers, const LabelMap& instances) {
  require_shape(markers, instances);
  const Components marks = connected_components(markers, Connectivity::eight);
  struct Mark {
    int64_t pixels = 0, labelled = 0;
    bool has_label() const { return 2 * labelled > pixels; }
  };
  std::vector<Mark> of(static_cast<size_t>(marks.count) + 1);  // number 0 stands for no mark
  for (size_t i = 0; i < marks.ids.data.size(); ++i) {
    Mark& mark = of[static_cast<size_t>(marks.ids.data[i])];
    ++mark.pixels;
    mark.labelled += instances.data[i] > 0;
  }
  MarkedPage page{.unlabelled = LabelMap(markers.height, markers.width), .objects = marks.count};
  page.unlabelled_objects = std::count_if(of.begin() + 1, of.end(), [](const Mark& mark) { return !mark.has_label(); });
  for (size_t i = 0; i < marks.ids.data.size(); ++i) {
    const int32_t id = marks.ids.data[i];
    page.unlabelled.data[i] = id > 0 && !of[static_cast<size_t>(id)].has_label() ? 1 : 0;
  }
  page.reaches_px = reaches(marks.ids, instances);
  return page;
}

int64_t ignore_unlabelled(const MarkedPage& page, double radius_px, LabelMap& instances, LabelMap& classes) {
  require_shape(page.unlabelled, instances);
  require_shape(classes, instances);
  if (page.unlabelled_objects == 0) return 0;
  const Grid<int64_t> squared_distance = instance_distances(page.unlabelled).first;
  const double squared_radius = radius_px * radius_px * (1 + 1e-12);  // radii that are roots reach their pixels
  int64_t ignored = 0;
  for (size_t i = 0; i < instances.data.size(); ++i) {
    if (instances.data[i] != 0 || static_cast<double>(squared_distance.data[i]) > squared_radius) continue;
    instances.data[i] = classes.data[i] = -1;
    ++ignored;
  }
  return ignored;
}

}  // namespace unet
