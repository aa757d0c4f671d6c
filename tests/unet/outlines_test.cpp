#include "unet/outlines.h"

#include "tests/catch.h"
#include "tests/unet/random_labels.h"

namespace unet {
namespace {

/// Pixels whose centre has an odd number of vertical edges to its left.
LabelMap fill_even_odd(const std::vector<Outline>& outlines, int64_t height, int64_t width) {
  LabelMap inside(height, width);
  for (const Outline& outline : outlines) {
    for (size_t i = 0; i < outline.size(); ++i) {
      const Corner a = outline[i], b = outline[(i + 1) % outline.size()];
      if (a.x != b.x) continue;
      for (int64_t y = std::min(a.y, b.y); y < std::max(a.y, b.y); ++y) {
        for (int64_t x = a.x; x < width; ++x) inside.at(y, x) ^= 1;
      }
    }
  }
  return inside;
}

/// Twice the signed area, positive clockwise (y down).
int64_t shoelace(const Outline& outline) {
  int64_t sum = 0;
  for (size_t i = 0; i < outline.size(); ++i) {
    const Corner a = outline[i], b = outline[(i + 1) % outline.size()];
    sum += a.x * b.y - b.x * a.y;
  }
  return sum;
}

}  // namespace

TEST_CASE("outlines: a pixel, a ring and pixels that touch at a corner") {
  LabelMap map(4, 5);
  map.data = {1, 0, 2, 2, 2,  //
              0, 1, 2, 0, 2,  //
              0, 0, 2, 2, 2,  //
              3, 0, 0, 0, 0};
  const auto apart = trace_outlines(map, 4, Connectivity::four);
  REQUIRE(apart.size() == 4);
  CHECK(apart[0] == std::vector<Outline>{{{0, 1}, {1, 1}, {1, 0}, {0, 0}}, {{1, 2}, {2, 2}, {2, 1}, {1, 1}}});
  CHECK(apart[1] == std::vector<Outline>{{{0, 5}, {3, 5}, {3, 2}, {0, 2}}, {{2, 4}, {1, 4}, {1, 3}, {2, 3}}});
  CHECK(apart[2] == std::vector<Outline>{{{3, 1}, {4, 1}, {4, 0}, {3, 0}}});
  CHECK(apart[3].empty());
  const auto together = trace_outlines(map, 4, Connectivity::eight);
  CHECK(together[0] == std::vector<Outline>{{{0, 1}, {1, 1}, {1, 2}, {2, 2}, {2, 1}, {1, 1}, {1, 0}, {0, 0}}});
}

TEST_CASE("outlines: filled, they are the objects, and they wind around area and against holes") {
  for (uint32_t step = 0; step < 300; ++step) {
    const LabelMap labels = test::random_labels(step, 24, 1 + step % 4);
    for (const Connectivity connectivity : {Connectivity::four, Connectivity::eight}) {
      const Components found = connected_components(labels, connectivity);
      const auto outlines = trace_outlines(found.ids, found.count, connectivity);
      for (int32_t id = 1; id <= found.count; ++id) {
        const std::vector<Outline>& own = outlines[static_cast<size_t>(id - 1)];
        const LabelMap inside = fill_even_odd(own, labels.height, labels.width);
        int64_t area = 0, twice = 0;
        for (size_t i = 0; i < inside.data.size(); ++i) {
          REQUIRE((inside.data[i] == 1) == (found.ids.data[i] == id));
          area += inside.data[i];
        }
        REQUIRE(shoelace(own.front()) > 0);
        for (size_t i = 0; i < own.size(); ++i) {
          if (i > 0) REQUIRE(shoelace(own[i]) < 0);  // a connected object has one outer outline
          REQUIRE(own[i].size() % 2 == 0);
          twice += shoelace(own[i]);
        }
        REQUIRE(twice == 2 * area);
      }
    }
  }
}

TEST_CASE("outlines: unfit maps are refused") {
  CHECK_THROWS_AS(trace_outlines(LabelMap(2, 2, 2), 1, Connectivity::four), ShapeError);
  CHECK_THROWS_AS(trace_outlines(LabelMap(2, 2, 1, 5), 4, Connectivity::four), DataError);
  CHECK(trace_outlines(LabelMap(), 0, Connectivity::four).empty());
}

}  // namespace unet
