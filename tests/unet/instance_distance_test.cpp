#include "unet/instance_distance.h"

#include <map>

#include "tests/catch.h"
#include "tests/unet/random_labels.h"

namespace unet {
namespace {

/// The definition: every pixel of every instance.
InstanceDistances by_definition(const LabelMap& instances) {
  InstanceDistances result{.first = Grid<int64_t>(instances.height, instances.width),
                           .second = Grid<int64_t>(instances.height, instances.width)};
  for (int64_t y = 0; y < instances.height; ++y) {
    for (int64_t x = 0; x < instances.width; ++x) {
      std::map<int32_t, int64_t> nearest;  // of each instance
      for (int64_t v = 0; v < instances.height; ++v) {
        for (int64_t u = 0; u < instances.width; ++u) {
          if (instances.at(v, u) <= 0) continue;
          const int64_t squared = (v - y) * (v - y) + (u - x) * (u - x);
          const auto found = nearest.try_emplace(instances.at(v, u), squared).first;
          found->second = std::min(found->second, squared);
        }
      }
      int64_t first = kNoInstance, second = kNoInstance;
      for (const auto& [id, squared] : nearest) {
        if (squared < first) {
          second = first, first = squared;
        } else {
          second = std::min(second, squared);
        }
      }
      result.first.at(y, x) = first;
      result.second.at(y, x) = second;
    }
  }
  return result;
}

}  // namespace

TEST_CASE("distances to the two nearest instances are exact") {
  int64_t pixels_with_second = 0;
  for (uint32_t step = 0; step < 700; ++step) {
    LabelMap instances = test::random_labels(step, 22, 1 + step % 7);
    if (step % 4 == 0) instances.data.front() = -1;
    const auto [first, second] = instance_distances(instances);
    const InstanceDistances expected = by_definition(instances);
    CAPTURE(step);
    REQUIRE(first.data == expected.first.data);
    REQUIRE(second.data == expected.second.data);
    for (size_t i = 0; i < first.data.size(); ++i) {
      REQUIRE(first.data[i] <= second.data[i]);
      pixels_with_second += second.data[i] != kNoInstance;
    }
  }
  CHECK(pixels_with_second > 10000);
}

TEST_CASE("distances do not depend on the image's orientation") {
  for (uint32_t step = 0; step < 40; ++step) {
    const LabelMap instances = test::random_labels(step, 150, 20);
    const auto [first, second] = instance_distances(instances);
    const auto [turned_first, turned_second] = instance_distances(test::transposed(instances));
    const auto [flipped_first, flipped_second] = instance_distances(test::upside_down(instances));
    CAPTURE(step);
    REQUIRE(turned_first.data == test::transposed(first).data);
    REQUIRE(turned_second.data == test::transposed(second).data);
    REQUIRE(flipped_first.data == test::upside_down(first).data);
    REQUIRE(flipped_second.data == test::upside_down(second).data);
  }
}

TEST_CASE("images without instances, with one, and of one row") {
  const auto none = instance_distances(LabelMap(3, 4));
  CHECK(none.first.data == std::vector<int64_t>(12, kNoInstance));
  CHECK(none.second.data == std::vector<int64_t>(12, kNoInstance));
  LabelMap one(1, 5);
  one.data = {0, 9, 0, 0, 9};
  CHECK(instance_distances(one).first.data == std::vector<int64_t>{1, 0, 1, 1, 0});
  CHECK(instance_distances(one).second.data == std::vector<int64_t>(5, kNoInstance));
  one.data = {3, 0, 0, 0, 4};
  CHECK(instance_distances(one).second.data == std::vector<int64_t>{16, 9, 4, 9, 16});
  CHECK(instance_distances(test::transposed(one)).second.data == std::vector<int64_t>{16, 9, 4, 9, 16});
  CHECK(instance_distances(LabelMap()).first.data.empty());
  CHECK_THROWS_AS(instance_distances(LabelMap(2, 2, 3)), ShapeError);
}

}  // namespace unet
