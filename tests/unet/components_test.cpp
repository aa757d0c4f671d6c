#include "unet/components.h"

#include <vector>

#include "tests/catch.h"
#include "tests/unet/random_labels.h"

namespace unet {
namespace {

/// Flood fill from each first pixel in turn.
Components flood_fill(const LabelMap& labels, Connectivity connectivity) {
  Components result{.ids = LabelMap(labels.height, labels.width)};
  for (int64_t y = 0; y < labels.height; ++y) {
    for (int64_t x = 0; x < labels.width; ++x) {
      if (labels.at(y, x) <= 0 || result.ids.at(y, x) != 0) continue;
      ++result.count;
      std::vector<std::pair<int64_t, int64_t>> open{{y, x}};
      while (!open.empty()) {
        const auto [cy, cx] = open.back();
        open.pop_back();
        if (result.ids.at(cy, cx) != 0) continue;
        result.ids.at(cy, cx) = result.count;
        for (int64_t ny = std::max(int64_t{0}, cy - 1); ny <= std::min(cy + 1, labels.height - 1); ++ny) {
          for (int64_t nx = std::max(int64_t{0}, cx - 1); nx <= std::min(cx + 1, labels.width - 1); ++nx) {
            if (connectivity == Connectivity::four && ny != cy && nx != cx) continue;
            if (labels.at(ny, nx) == labels.at(y, x)) open.emplace_back(ny, nx);
          }
        }
      }
    }
  }
  return result;
}

}  // namespace

TEST_CASE("components are those of a flood fill, in its order") {
  int32_t most = 0;
  for (uint32_t step = 0; step < 600; ++step) {
    LabelMap labels = test::random_labels(step, 30, 1 + step % 3);
    if (step % 5 == 0) labels.data[labels.data.size() / 2] = -1;
    for (const Connectivity connectivity : {Connectivity::four, Connectivity::eight}) {
      const Components expected = flood_fill(labels, connectivity), got = connected_components(labels, connectivity);
      CAPTURE(step);
      REQUIRE(got.count == expected.count);
      REQUIRE(got.ids.data == expected.ids.data);
      most = std::max(most, got.count);
    }
  }
  CHECK(most > 8);
}

TEST_CASE("regions that meet late are one component") {
  LabelMap spiral(5, 7);
  spiral.data = {1, 1, 1, 1, 1, 0, 1,  //
                 1, 0, 0, 0, 1, 0, 1,  //
                 1, 0, 1, 0, 1, 0, 1,  //
                 1, 0, 1, 1, 1, 0, 1,  //
                 1, 0, 0, 0, 0, 1, 0};
  CHECK(connected_components(spiral, Connectivity::four).count == 3);
  CHECK(connected_components(spiral, Connectivity::eight).count == 1);
  CHECK(connected_components(LabelMap(), Connectivity::four).count == 0);
  CHECK_THROWS_AS(connected_components(LabelMap(2, 2, 2), Connectivity::four), ShapeError);
}

TEST_CASE("as many components as a chessboard has fields") {
  LabelMap board(200, 201);
  for (size_t i = 0; i < board.data.size(); i += 2) board.data[i] = 7;
  CHECK(connected_components(board, Connectivity::four).count == 200 * 201 / 2);
  CHECK(connected_components(board, Connectivity::eight).count == 1);
}

}  // namespace unet
