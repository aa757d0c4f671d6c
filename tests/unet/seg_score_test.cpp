#include "unet/seg_score.h"

#include "tests/catch.h"

namespace unet {
namespace {

void draw(LabelMap& labels, int32_t id, int64_t y0, int64_t y1, int64_t x0, int64_t x1) {
  for (int64_t y = y0; y <= y1; ++y) {
    for (int64_t x = x0; x <= x1; ++x) labels.at(y, x) = id;
  }
}

LabelMap truth() {
  LabelMap labels(6, 10);
  draw(labels, 1, 1, 4, 1, 4);
  draw(labels, 2, 1, 4, 6, 8);
  return labels;
}

LabelMap prediction(int64_t last_row) {
  LabelMap labels(6, 10);
  draw(labels, 7, 1, 4, 2, 5);
  draw(labels, 9, 1, last_row, 6, 8);
  return labels;
}

}  // namespace

TEST_CASE("seg: half an object is no match") {
  SegScore half, more;
  half.add(prediction(2), truth());
  CHECK(half.value() == Approx(0.3));
  CHECK(half.matched() == 1);
  more.add(prediction(3), truth());
  CHECK(more.value() == Approx(0.675));
  CHECK(more.matched() == 2);
}

TEST_CASE("seg: mean over objects, not over pages, and further predictions cost nothing") {
  SegScore score;
  score.add(prediction(3), truth());
  LabelMap one(6, 10);
  draw(one, 300, 0, 1, 0, 1);
  LabelMap predicted = one;
  draw(predicted, 65000, 3, 5, 5, 9);
  score.add(predicted, one);
  CHECK(score.objects() == 3);
  CHECK(score.value() == Approx((0.6 + 0.75 + 1) / 3));
  score.add(prediction(3), LabelMap(6, 10));
  CHECK(score.objects() == 3);
}

TEST_CASE("seg: field of interest") {
  LabelMap labels(20, 20);
  draw(labels, 1, 0, 4, 0, 19);   // beside the field
  draw(labels, 2, 10, 14, 0, 5);  // touches it with one column
  SegScore all(5), none(6);
  all.add(labels, labels);
  CHECK(all.value() == 0.5);
  none.add(labels, labels);
  CHECK(none.value() == 0);
  SegScore wide(10);  // no pixel is left
  wide.add(labels, labels);
  CHECK(wide.matched() == 0);
}

TEST_CASE("seg: ignored pixels count on neither side") {
  LabelMap labels = truth(), predicted = truth();
  draw(labels, -1, 1, 4, 4, 5);
  draw(predicted, 1, 1, 4, 1, 5);
  SegScore score;
  score.add(predicted, labels);
  CHECK(score.value() == 1);
}

TEST_CASE("seg: nothing to score, nothing that fits") {
  SegScore score;
  CHECK(score.value() == 0);
  CHECK_THROWS_AS(score.add(LabelMap(2, 3), LabelMap(3, 2)), ShapeError);
}

}  // namespace unet
