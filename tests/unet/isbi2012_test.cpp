#include "unet/isbi2012.h"

#include <cmath>

#include "tests/catch.h"
#include "tests/unet/membranes.h"
#include "unet/components.h"
#include "unet/watershed.h"

namespace unet {
namespace {

LabelMap segments(const LabelMap& cells) { return connected_components(cells, Connectivity::four).ids; }

LabelMap predicted_segments(const test::ScoredPage& page) {
  LabelMap cells(page.truth.height, page.truth.width);
  for (size_t i = 0; i < cells.data.size(); ++i) cells.data[i] = page.prediction.data[i] > 0.5F;
  return segments(cells);
}

SegmentOverlap overlap(const test::ScoredPage& page) {
  return segment_overlap(predicted_segments(page), segments(page.truth));
}

SegmentOverlap thinned_overlap(const test::ScoredPage& page) {
  return segment_overlap(watershed(predicted_segments(page)), segments(page.truth));
}

Isbi2012::Scores scores_of(const std::vector<test::ScoredPage>& pages) {
  Isbi2012 isbi;
  for (const test::ScoredPage& page : pages) isbi.add(page.prediction, page.truth);
  return isbi.scores();
}

}  // namespace

TEST_CASE("Rand scores: two cells merged") {
  const RandCounts pairs = rand_pairs(overlap(test::merged()));
  CHECK(pairs.both == 420);
  CHECK(pairs.predicted == 420 + 441);
  CHECK(pairs.truth == 420);
  CHECK(1 - pairs.f_score() == Approx(0.344262).margin(5e-7));
  CHECK(1 - rand_squares(overlap(test::merged())).f_score() == Approx(1.0 / 3));
  CHECK(information_score(overlap(test::merged())) == 0);
}

TEST_CASE("Rand scores: a shifted membrane") {
  CHECK(1 - rand_pairs(overlap(test::shifted())).f_score() == Approx(0.165049).margin(5e-7));
  CHECK(1 - rand_squares(overlap(test::shifted())).f_score() == Approx(0.155963).margin(5e-7));
  CHECK(rand_squares(thinned_overlap(test::shifted())).f_score() == Approx(0.844037).margin(5e-7));
  CHECK(information_score(thinned_overlap(test::shifted())) == Approx(0.683284).margin(5e-7));
}

TEST_CASE("Rand scores: a split cell") {
  CHECK(1 - rand_pairs(overlap(test::split())).f_score() == Approx(0.196581).margin(5e-7));
  CHECK(rand_squares(thinned_overlap(test::split())).f_score() == Approx(0.814516).margin(5e-7));
  CHECK(information_score(thinned_overlap(test::split())) == Approx(0.704816).margin(5e-7));
}

TEST_CASE("Rand scores: a thick membrane counts as a thin one after thinning") {
  CHECK(rand_squares(overlap(test::thick())).f_score() == Approx(0.541667).margin(5e-7));
  CHECK(rand_squares(thinned_overlap(test::thick())).f_score() == 1);
  CHECK(information_score(thinned_overlap(test::thick())) == Approx(1));
}

TEST_CASE("Rand scores: nothing there") {
  const LabelMap none(4, 5), one(4, 5, 1, 1);
  CHECK(rand_pairs(segment_overlap(none, none)).f_score() == 1);
  CHECK(rand_pairs(segment_overlap(none, one)).f_score() == 0);
  CHECK(rand_squares(segment_overlap(one, one)).f_score() == 1);
  CHECK(information_score(segment_overlap(none, none)) == 0);
  CHECK(information_score(segment_overlap(one, one)) == 0);
  CHECK_THROWS_AS(segment_overlap(LabelMap(4, 4), one), ShapeError);
}

TEST_CASE("watershed: membranes of any width become one pixel") {
  const std::vector<int32_t> expected{1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2};
  for (const std::vector<int64_t>& membranes : {std::vector<int64_t>{3, 4, 5, 6, 7}, {3, 4, 5, 6}}) {
    const LabelMap thinned = watershed(segments(test::columns(7, 11, membranes)));
    for (int64_t y = 0; y < 7; ++y) {
      for (int64_t x = 0; x < 11; ++x) REQUIRE(thinned.at(y, x) == expected[static_cast<size_t>(x)]);
    }
  }
  CHECK(watershed(LabelMap(3, 4)).data == std::vector<int32_t>(12, 1));
  CHECK(watershed(LabelMap(3, 4, 1, 7)).data == std::vector<int32_t>(12, 7));
  CHECK(watershed(LabelMap()).data.empty());
  CHECK_THROWS_AS(watershed(LabelMap(2, 2, 2)), ShapeError);
}

TEST_CASE("watershed: where three basins meet") {
  LabelMap basins(5, 5);
  basins.at(0, 0) = 1, basins.at(0, 4) = 2, basins.at(4, 2) = 3;
  const LabelMap filled = watershed(basins);
  const std::vector<int32_t> expected{1, 1, 0, 2, 2,  //
                                      1, 1, 0, 2, 2,  //
                                      1, 0, 3, 0, 2,  //
                                      0, 3, 3, 3, 0,  //
                                      3, 3, 3, 3, 3};
  CHECK(filled.data == expected);
}

TEST_CASE("isbi2012: known pages, one by one and as a stack") {
  CHECK(scores_of({test::merged()}).warping_error.value == Approx(1.0 / 49));
  CHECK(scores_of({test::shifted()}).warping_error.value == 0);
  CHECK(scores_of({test::split()}).warping_error.value == Approx(1.0 / 49));
  CHECK(scores_of({test::pierced()}).warping_error.value == 0);
  CHECK(scores_of({test::pierced()}).warping_error_classic.value == Approx(1.0 / 81));
  CHECK(scores_of({test::merged()}).warping_error_classic.value == Approx(1.0 / 49));
  CHECK(scores_of({test::shifted()}).warping_error_classic.value == 0);
  CHECK(scores_of({test::shifted()}).rand_error.value == Approx(0.165049).margin(5e-7));

  const Isbi2012::Scores stack = scores_of({test::merged(), test::shifted(), test::split()});
  CHECK(stack.warping_error.value == Approx(2.0 / 147));
  RandCounts pairs;
  for (const auto& page : {test::merged(), test::shifted(), test::split()}) pairs += rand_pairs(overlap(page));
  CHECK(stack.rand_error.value == Approx(1 - pairs.f_score()));
  CHECK(stack.v_rand.value == Approx((2.0 / 3 + 0.844037 + 0.814516) / 3).margin(1e-6));
  CHECK(stack.v_info.value == Approx((0 + 0.683284 + 0.704816) / 3).margin(1e-6));
}

TEST_CASE("isbi2012: each score has its own best threshold") {
  test::ScoredPage page = test::shifted();
  for (float& p : page.prediction.data) p = p > 0 ? 0.85F : 0.25F;  // all is cell up to 0.2, nothing from 0.9 on
  const Isbi2012::Scores scores = scores_of({page});
  CHECK(scores.rand_error.threshold == Approx(0.3));
  CHECK(scores.rand_error.value == Approx(0.165049).margin(5e-7));
  CHECK(scores.v_rand.threshold == Approx(0.3));
  CHECK(scores.warping_error.threshold == Approx(0.3));
}

TEST_CASE("isbi2012 refuses what does not fit") {
  Isbi2012 isbi;
  CHECK_THROWS_AS(isbi.add(Image(2, 3), LabelMap(3, 2)), ShapeError);
  CHECK_THROWS_AS(isbi.add(Image(2, 3), LabelMap(2, 3, 1, -1)), DataError);
}

}  // namespace unet
