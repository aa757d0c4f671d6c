#include "unet/warping_error.h"

#include <cstdlib>

#include "tests/catch.h"
#include "tests/unet/membranes.h"
#include "tests/unet/random_labels.h"
#include "unet/components.h"

namespace unet {
namespace {

WarpingMistakes mistakes_of(const test::ScoredPage& page) { return warping_mistakes(page.prediction, page.truth, 0.5); }

/// Cells and, but for the first, holes: what warping must not change.
std::pair<int32_t, int32_t> topology(const LabelMap& cells) {
  LabelMap ground(cells.height + 2, cells.width + 2, 1, 1);
  for (int64_t y = 0; y < cells.height; ++y) {
    for (int64_t x = 0; x < cells.width; ++x) ground.at(y + 1, x + 1) = 1 - cells.at(y, x);
  }
  return {connected_components(cells, Connectivity::four).count,
          connected_components(ground, Connectivity::eight).count};
}

LabelMap random_cells(uint32_t step, int64_t side) {
  RandomStream random(7, Purpose::synthetic_shape, step);
  LabelMap cells(side, side);
  for (int32_t& cell : cells.data) cell = random.below(3) > 0;
  return cells;
}

}  // namespace

TEST_CASE("warping: simple pixels are those whose flip keeps cells and holes") {
  int simple = 0;
  for (int bits = 0; bits < 256; ++bits) {
    LabelMap patch(3, 3);
    int k = 0;
    for (const auto& [y, x] : {std::pair{0, 1}, {0, 2}, {1, 2}, {2, 2}, {2, 1}, {2, 0}, {1, 0}, {0, 0}}) {
      patch.at(y, x) = bits >> k++ & 1;
    }
    LabelMap flipped = patch;
    flipped.at(1, 1) = 1;
    const auto neighbours = static_cast<uint8_t>(bits);
    CAPTURE(bits);
    REQUIRE(is_simple(neighbours) == (topology(patch) == topology(flipped) && patch.data != flipped.data &&
                                      [&] {  // nothing is joined through the ground outside the patch
                                        LabelMap ground(3, 3);
                                        for (size_t i = 0; i < 9; ++i) ground.data[i] = 1 - flipped.data[i];
                                        return connected_components(ground, Connectivity::eight).count == 1;
                                      }()));
    simple += is_simple(neighbours);
  }
  CHECK(simple == 116);
}

TEST_CASE("warping: known pages") {
  CHECK(mistakes_of(test::merged()).merges == 1);
  CHECK(mistakes_of(test::merged()).total() == 1);
  CHECK(mistakes_of(test::shifted()).total() == 0);
  CHECK(mistakes_of(test::split()).splits == 1);
  CHECK(mistakes_of(test::split()).total() == 1);
  CHECK(mistakes_of(test::pierced()).hole_additions == 1);
  CHECK(mistakes_of(test::pierced()).total() == 1);
}

TEST_CASE("warping: objects and holes that come and go") {
  const LabelMap nothing(5, 5);
  LabelMap dot = nothing;
  dot.at(2, 2) = 1;
  CHECK(warping_mistakes(test::as_probability(dot), nothing, 0.5).object_additions == 1);
  CHECK(warping_mistakes(test::as_probability(nothing), dot, 0.5).object_deletions == 1);
  const test::ScoredPage pierced = test::pierced();
  LabelMap hole = pierced.truth;
  hole.at(4, 4) = 0;
  CHECK(warping_mistakes(test::as_probability(pierced.truth), hole, 0.5).hole_deletions == 1);
}

TEST_CASE("warping: an object that vanishes is one mistake, whatever its size") {
  LabelMap bar(3, 5);
  for (int64_t x = 1; x < 4; ++x) bar.at(1, x) = 1;
  const Image faint(3, 5, 1, 0.25F);
  CHECK(warping_mistakes(faint, bar, 0.5).object_deletions == 1);
  CHECK(warping_mistakes(faint, bar, 0.5).total() == 1);
}

TEST_CASE("warping: what shrinks keeps the pixel that is predicted") {
  LabelMap block(4, 4);
  for (const auto& [y, x] : {std::pair{1, 1}, {1, 2}, {2, 1}, {2, 2}}) block.at(y, x) = 1;
  Image faint(4, 4);
  faint.at(1, 1) = 0.1F, faint.at(1, 2) = 0.2F, faint.at(2, 1) = 0.45F, faint.at(2, 2) = 0.3F;
  CHECK(warping_mistakes(faint, block, 0.5).object_deletions == 1);
  faint.at(2, 1) = 0.9F;
  CHECK(warping_mistakes(faint, block, 0.5).total() == 0);
}

TEST_CASE("warping: a cell is cut off only if no way round is within 20 pixels") {
  // A ring whose way round is as long as its side; one pixel of its left side is lost, and diagonals keep it from
  // moving.
  const auto ring = [](int64_t side) {
    LabelMap cells(side, side, 1, 0);
    for (int64_t i = 0; i < side; ++i)
      cells.at(0, i) = cells.at(side - 1, i) = cells.at(i, 0) = cells.at(i, side - 1) = 1;
    return cells;
  };
  for (const auto& [side, splits] : {std::pair{int64_t{15}, 0}, {int64_t{60}, 1}}) {
    const LabelMap truth = ring(side);
    LabelMap predicted = truth;
    predicted.at(side / 2, 0) = 0;
    const WarpingMistakes mistakes = warping_mistakes(test::as_probability(predicted), truth, 0.5);
    CAPTURE(side);
    CHECK(mistakes.splits == splits);
    CHECK(mistakes.hole_deletions == 1 - splits);
  }
}

TEST_CASE("warping: a lone pixel between the ends of a cell splits it, unless they meet within 20 pixels") {
  for (const auto& [side, splits] : {std::pair{int64_t{15}, 0}, {int64_t{60}, 1}}) {
    LabelMap truth(side, side);
    for (int64_t i = 1; i < side - 1; ++i)
      truth.at(1, i) = truth.at(side - 2, i) = truth.at(i, 1) = truth.at(i, side - 2) = 1;
    truth.at(side / 2, 1) = 0;
    const LabelMap predicted = truth;
    truth.at(side / 2, 2) = 1;
    const WarpingMistakes mistakes = warping_mistakes(test::as_probability(predicted), truth, 0.5);
    CAPTURE(side);
    CHECK(mistakes.splits == splits);
    CHECK(mistakes.total() == 1);
  }
}

TEST_CASE("warping: equal topology after any prediction, mistakes where none can agree") {
  int64_t total = 0;
  for (uint32_t step = 0; step < 200; ++step) {
    const LabelMap truth = random_cells(step, 12), predicted = random_cells(step + 1000, 12);
    const int64_t mistakes = warping_mistakes(test::as_probability(predicted), truth, 0.5).total();
    const auto [cells, grounds] = topology(truth);
    const auto [predicted_cells, predicted_grounds] = topology(predicted);
    CAPTURE(step);
    // One mistake changes the number of cells and of grounds by at most 3 each.
    REQUIRE(std::abs(cells - predicted_cells) <= 3 * mistakes);
    REQUIRE(std::abs(grounds - predicted_grounds) <= 3 * mistakes);
    REQUIRE(warping_mistakes(test::as_probability(truth), truth, 0.5).total() == 0);
    total += mistakes;
  }
  CHECK(total > 1000);
}

TEST_CASE("warping refuses what does not fit") {
  CHECK_THROWS_AS(warping_mistakes(Image(2, 3), LabelMap(3, 2), 0.5), ShapeError);
  CHECK_THROWS_AS(warping_mistakes(Image(2, 3, 2), LabelMap(2, 3, 2), 0.5), ShapeError);
}

}  // namespace unet
