#include "unet/components.h"

#include <limits>

namespace unet {
namespace {

/// Sets of provisional ids. Each set's root is its smallest member, so that final ids follow the order of first pixels.
class DisjointSets {
 public:
  int32_t add() {
    if (parent_.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
      throw DataError("connected_components: more regions than a label map can number; split the image");
    }
    parent_.push_back(static_cast<int32_t>(parent_.size()));
    return parent_.back();
  }
  int32_t root(int32_t i) {
    while (parent(i) != i) i = parent(i) = parent(parent(i));  // halves the path on the way
    return i;
  }
  int32_t join(int32_t a, int32_t b) {
    a = root(a), b = root(b);
    return a < b ? parent(b) = a : parent(a) = b;
  }
  int32_t& parent(int32_t i) { return parent_[static_cast<size_t>(i)]; }
  int32_t size() const { return static_cast<int32_t>(parent_.size()); }

 private:
  std::vector<int32_t> parent_{0};  // 0: the background, a set of its own
};

}  // namespace

Components connected_components(const LabelMap& labels, Connectivity connectivity) {
  if (labels.channels != 1) {
    throw ShapeError("connected_components: expected a label map of one channel, got " + labels.shape_text());
  }
  Components result{.ids = LabelMap(labels.height, labels.width)};
  LabelMap& ids = result.ids;
  DisjointSets sets;
  for (int64_t y = 0; y < labels.height; ++y) {
    for (int64_t x = 0; x < labels.width; ++x) {
      const int32_t label = labels.at(y, x);
      if (label <= 0) continue;
      int32_t id = 0;
      const auto visit = [&](int64_t ny, int64_t nx) {
        if (ny < 0 || nx < 0 || nx >= labels.width || labels.at(ny, nx) != label) return;
        id = id == 0 ? ids.at(ny, nx) : sets.join(id, ids.at(ny, nx));
      };
      visit(y - 1, x);
      visit(y, x - 1);
      if (connectivity == Connectivity::eight) {
        visit(y - 1, x - 1);
        visit(y - 1, x + 1);
      }
      ids.at(y, x) = id == 0 ? sets.add() : id;
    }
  }
  // A root is never larger than its members, so one ascending pass replaces every provisional id by a final one.
  for (int32_t id = 1; id < sets.size(); ++id) {
    const int32_t up = sets.parent(id);
    sets.parent(id) = up == id ? ++result.count : sets.parent(up);
  }
  for (int32_t& id : ids.data) id = sets.parent(id);
  return result;
}

}  // namespace unet
