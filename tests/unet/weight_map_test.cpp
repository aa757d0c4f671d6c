#include "unet/weight_map.h"

#include <algorithm>
#include <cmath>

#include "tests/catch.h"
#include "tests/unet/random_labels.h"
#include "unet/instance_distance.h"
#include "unet/separation.h"

namespace unet {
namespace {

const std::vector<float> kUnit{1, 1};

/// A row: cell 1, `gap` pixels of background, cell 2.
LabelMap two_cells(int64_t gap) {
  LabelMap instances(1, gap + 10);
  std::fill_n(instances.data.begin(), 5, 1);
  std::fill_n(instances.data.end() - 5, 5, 2);
  return instances;
}

}  // namespace

TEST_CASE("weights in the middle of a gap are the published ones") {
  const std::pair<int64_t, double> table[] = {{1, 9.231}, {2, 8.353}, {3, 7.261},  {4, 6.065},
                                              {6, 3.753}, {8, 1.979}, {10, 0.889}, {15, 0.060}};
  for (const auto& [gap, expected] : table) {
    const LabelMap instances = two_cells(gap);
    const Image weights = weight_map(instances, separate_instances(instances, SeparationBorder::freiburg), {0, 0}, {});
    CAPTURE(gap);
    for (int64_t x = 5; x < 5 + gap; ++x) CHECK(weights.at(0, x) == Approx(expected).margin(0.0006));
  }
}

TEST_CASE("class weights balance the frequencies of the training set") {
  ClassFrequencies frequencies(3);
  LabelMap page(1, 8);
  page.data = {0, 0, 0, 1, 2, 2, -1, -1};
  frequencies.add(page);
  page.data = {0, 0, 0, 0, 0, 2, 2, -1};
  frequencies.add(page);
  CHECK(frequencies.pixels() == std::vector<int64_t>{8, 1, 4});
  CHECK(frequencies.weights(ClassBalance::none) == std::vector<float>{1, 1, 1});
  CHECK(frequencies.weights(ClassBalance::max1) == std::vector<float>{1, 8, 2});
  const std::vector<float> inv = frequencies.weights(ClassBalance::inv);
  CHECK(inv[0] == Approx(13.0 / 24));
  CHECK(inv[1] == Approx(13.0 / 3));
  CHECK(inv[2] == Approx(13.0 / 12));
  page.data[3] = 3;
  CHECK_THROWS_AS(frequencies.add(page), DataError);
  page.data[3] = -2;
  CHECK_THROWS_AS(frequencies.add(page), DataError);

  ClassFrequencies only_background(2);
  only_background.add(LabelMap(2, 2));
  CHECK(only_background.weights(ClassBalance::inv) == std::vector<float>{0.5F, 0});
  CHECK(only_background.weights(ClassBalance::max1) == std::vector<float>{1, 0});
  CHECK(ClassFrequencies(2).weights(ClassBalance::inv) == std::vector<float>{0, 0});
}

TEST_CASE("the membrane share of the EM challenge gives its known weights") {
  ClassFrequencies frequencies(2);
  LabelMap stack(100, 100);
  std::fill_n(stack.data.begin(), 7804, 1);  // 21.96 % membrane
  frequencies.add(stack);
  CHECK(frequencies.weights(ClassBalance::inv)[0] == Approx(2.277).margin(0.0005));
  CHECK(frequencies.weights(ClassBalance::inv)[1] == Approx(0.641).margin(0.0005));
}

TEST_CASE("weight maps follow the formula pixel by pixel") {
  int64_t borders = 0;
  for (uint32_t step = 0; step < 120; ++step) {
    LabelMap instances = test::random_labels(step, 60, 6);
    if (step % 3 == 0) std::fill_n(instances.data.begin(), instances.width, -1);
    const LabelMap classes = separate_instances(instances, SeparationBorder::freiburg);
    WeightMapConfig config{.w0 = 3.0 + step % 4, .sigma = 2.0 + step % 3};
    config.everywhere = step % 2 == 1;
    const std::vector<float> balance{2, 0.5};
    const Image weights = weight_map(instances, classes, balance, config);
    const Image falk = weight_map(instances, classes, balance, {.kind = WeightMapKind::falk});
    const Image none = weight_map(instances, classes, balance, {.kind = WeightMapKind::none});
    const auto [first, second] = instance_distances(instances);
    for (size_t i = 0; i < weights.data.size(); ++i) {
      const int32_t label = classes.data[i];
      const double d1 = std::sqrt(static_cast<double>(first.data[i])),
                   d2 = std::sqrt(static_cast<double>(second.data[i]));
      const bool two = second.data[i] != kNoInstance;
      const auto gauss = [](double d, double sigma) { return std::exp(-d * d / (2 * sigma * sigma)); };
      double expected = label < 0 ? 0 : static_cast<double>(balance[static_cast<size_t>(label)]);
      double expected_falk = label == 1 ? 1 : 0;
      if (two && (label == 0 || (label == 1 && config.everywhere)))
        expected += config.w0 * gauss(d1 + d2, config.sigma);
      if (label == 0) {
        expected_falk =
            0.1 + (first.data[i] == kNoInstance ? 0 : 0.9 * gauss(d1, 10)) + (two ? 50 * gauss(d1 + d2, 6) : 0);
      }
      borders += expected > 2.5;
      CAPTURE(step, i);
      REQUIRE(static_cast<double>(weights.data[i]) == Approx(expected).epsilon(1e-6));
      REQUIRE(static_cast<double>(falk.data[i]) == Approx(expected_falk).epsilon(1e-6));
      REQUIRE(none.data[i] == (label < 0 ? 0.0F : 1.0F));
    }
  }
  CHECK(borders > 1000);
}

TEST_CASE("without two instances a weight map is the class weights, and always finite") {
  LabelMap instances(20, 30);
  for (const int32_t id : {0, 7}) {
    instances.at(10, 10) = id;
    const Image weights = weight_map(instances, separate_instances(instances, SeparationBorder::sym), {3, 4}, {});
    for (size_t i = 0; i < weights.data.size(); ++i) REQUIRE(weights.data[i] == (instances.data[i] > 0 ? 4.0F : 3.0F));
  }
}

TEST_CASE("weight maps refuse what does not fit") {
  const LabelMap map(4, 4);
  LabelMap strange = map;
  strange.data[5] = 2;
  CHECK_THROWS_AS(weight_map(map, LabelMap(4, 5), kUnit, {}), ShapeError);
  CHECK_THROWS_AS(weight_map(LabelMap(4, 4, 2), LabelMap(4, 4, 2), kUnit, {}), ShapeError);
  CHECK_THROWS_WITH(weight_map(map, strange, kUnit, {}), Catch::Contains("got 2"));
}

}  // namespace unet
