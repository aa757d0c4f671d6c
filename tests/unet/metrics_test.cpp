#include "unet/metrics.h"

#include <algorithm>
#include <cmath>

#include "tests/catch.h"
#include "unet/random.h"

namespace unet {
namespace {

LabelMap labels(std::vector<int32_t> values) {
  LabelMap map(1, std::ssize(values));
  map.data = std::move(values);
  return map;
}

Image values(std::vector<float> pixels, int64_t channels = 1) {
  Image image(1, std::ssize(pixels) / channels, channels);
  image.data = std::move(pixels);
  return image;
}

}  // namespace

TEST_CASE("confusion, overlap and accuracy of a small case by hand") {
  ConfusionMatrix confusion(3);
  confusion.add(labels({0, 0, 1, 1, 2, 2, 1, 0}), labels({0, 1, 1, 1, 2, 0, -1, 2}));
  CHECK(confusion.count(0, 0) == 1);
  CHECK(confusion.count(0, 2) == 1);
  CHECK(confusion.count(1, 0) == 1);
  CHECK(confusion.count(1, 1) == 2);
  CHECK(confusion.count(2, 0) == 1);
  CHECK(confusion.count(2, 2) == 1);
  CHECK(confusion.iou(0) == Approx(1.0 / 4));
  CHECK(confusion.iou(1) == Approx(2.0 / 3));
  CHECK(confusion.iou(2) == Approx(1.0 / 3));
  CHECK(confusion.dice(1) == Approx(4.0 / 5));
  CHECK(confusion.mean_iou() == Approx(0.5));
  CHECK(confusion.mean_dice() == Approx((0.8 + 0.5) / 2));
  CHECK(confusion.pixel_accuracy() == Approx(4.0 / 7));
  confusion.add(labels({1}), labels({1}));  // pages add up
  CHECK(confusion.iou(1) == Approx(3.0 / 4));
}

TEST_CASE("what does not occur is matched perfectly") {
  const ConfusionMatrix empty(2);
  CHECK(empty.iou(1) == 1);
  CHECK(empty.dice(1) == 1);
  CHECK(empty.pixel_accuracy() == 1);
}

TEST_CASE("the most probable class counts, the first of equals") {
  ConfusionMatrix confusion(3);
  confusion.add_probabilities(values({0.2F, 0.5F, 0.3F, 0.4F, 0.2F, 0.4F, 0.1F, 0.2F, 0.7F}, 3), labels({1, 0, 1}));
  CHECK(confusion.count(1, 1) == 1);
  CHECK(confusion.count(0, 0) == 1);
  CHECK(confusion.count(1, 2) == 1);
}

TEST_CASE("metrics refuse what does not fit") {
  ConfusionMatrix confusion(2);
  CHECK_THROWS_AS(confusion.add(labels({0, 1}), labels({0})), ShapeError);
  CHECK_THROWS_AS(confusion.add(labels({2}), labels({0})), DataError);
  CHECK_THROWS_AS(confusion.add(labels({0}), labels({2})), DataError);
  CHECK_THROWS_AS(confusion.add_probabilities(Image(1, 2, 3), LabelMap(1, 2)), ShapeError);
  PixelError error;
  CHECK_THROWS_AS(error.add(Image(2, 2), LabelMap(2, 3)), ShapeError);
  CHECK_THROWS_AS(error.add(values({NAN}), labels({1})), NumericError);
}

TEST_CASE("thresholds are the challenge's, accumulated in double") {
  CHECK(PixelError::threshold(0) == 0);
  CHECK(PixelError::threshold(3) == 0.1 + 0.1 + 0.1);
  CHECK(PixelError::threshold(10) == 0.9999999999999999);
}

TEST_CASE("pixel error by hand") {
  PixelError error;
  // At 0.5: three predicted, two right, one cell missed: F1 = 4/6. At 0.2: four predicted, three right: F1 = 6/7, but
  // at 0.1 float 0.1, which is above it, is predicted too.
  error.add(values({0.9F, 0.7F, 0.6F, 0.3F, 0.1F, 0.95F}), labels({1, 0, 1, 1, 0, -1}));
  CHECK(error.f1(5) == Approx(4.0 / 6));
  CHECK(error.f1(2) == Approx(6.0 / 7));
  CHECK(error.best().error == Approx(1 - 6.0 / 7));
  CHECK(error.best().threshold == Approx(0.2));
  // A value exactly on a threshold is not above it: float 0.5 == 0.1 + .. + 0.1.
  PixelError edge;
  edge.add(values({0.5F}), labels({1}));
  CHECK(edge.f1(4) == 1);
  CHECK(edge.f1(5) == 0);
}

TEST_CASE("all cells: the error is the membranes' share in F1") {
  // 21.96 % membrane: 1 - 2 * 0.7804 / 1.7804
  PixelError error;
  LabelMap truth(100, 100);
  std::fill_n(truth.data.begin(), 7804, 1);
  error.add(Image(100, 100, 1, 1.0F), truth);
  CHECK(error.best().error == Approx(1 - 2 * 0.7804 / 1.7804));
}

TEST_CASE("pixel error equals brute force, page by page or at once") {
  for (uint32_t step = 0; step < 30; ++step) {
    RandomStream random(8, Purpose::synthetic_noise, step);
    PixelError error;
    std::vector<std::pair<double, int32_t>> pixels;
    for (int page = 0; page < 3; ++page) {
      Image probability(7, 9, 2);
      LabelMap truth(7, 9);
      for (size_t i = 0; i < truth.data.size(); ++i) {
        truth.data[i] = static_cast<int32_t>(random.below(3)) - 1;
        const auto p = static_cast<float>(std::clamp(random.uniform(-0.2, 1.0) + 0.2 * truth.data[i], 0.0, 1.0));
        probability.data[2 * i] = 1 - p, probability.data[2 * i + 1] = p;
        if (truth.data[i] >= 0) pixels.emplace_back(static_cast<double>(p), truth.data[i]);
      }
      error.add(probability, truth);
    }
    double best = 1, t = 0;
    for (int k = 0; k <= 10; ++k, t += 0.1) {
      double tp = 0, fp = 0, fn = 0;
      for (const auto& [p, truth] : pixels) {
        tp += p > t && truth == 1, fp += p > t && truth == 0, fn += p <= t && truth == 1;
      }
      const double f1 = tp == 0 ? 0 : 2 * tp / (2 * tp + fp + fn);
      CAPTURE(step, k);
      REQUIRE(error.f1(static_cast<size_t>(k)) == Approx(f1));
      best = std::min(best, 1 - f1);
    }
    CHECK(error.best().error == Approx(best));
  }
}

}  // namespace unet
