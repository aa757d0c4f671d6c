#include "unet/separation.h"

#include <map>

#include "tests/catch.h"
#include "tests/unet/random_labels.h"
#include "unet/components.h"

namespace unet {
namespace {

LabelMap of_rows(int64_t width, std::vector<int32_t> values) {
  LabelMap map(std::ssize(values) / width, width);
  map.data = std::move(values);
  return map;
}

}  // namespace

TEST_CASE("the one-sided border takes the later of two touching pixels") {
  const LabelMap instances = of_rows(6, {1, 1, 1, 2, 2, 0,  //
                                         1, 1, 1, 2, 2, 0,  //
                                         3, 3, 3, 3, 2, 5,  //
                                         0, 3, 3, 0, 0, -1});
  CHECK(separate_instances(instances, SeparationBorder::freiburg).data == of_rows(6, {1, 1, 1, 0, 1, 0,  //
                                                                                      1, 1, 0, 0, 1, 0,  //
                                                                                      0, 0, 0, 0, 0, 0,  //
                                                                                      0, 1, 1, 0, 0, -1})
                                                                              .data);
  CHECK(separate_instances(instances, SeparationBorder::sym).data == of_rows(6, {1, 1, 0, 0, 1, 0,  //
                                                                                 0, 0, 0, 0, 0, 0,  //
                                                                                 0, 0, 0, 0, 0, 0,  //
                                                                                 0, 1, 1, 0, 0, -1})
                                                                         .data);
}

TEST_CASE("how wide the gap between two objects is") {
  LabelMap beside(6, 8), above(8, 6);
  for (int64_t i = 0; i < 6; ++i) {
    for (int64_t j = 0; j < 8; ++j) beside.at(i, j) = above.at(j, i) = j < 4 ? 1 : 2;
  }
  /// Pixels of background in the middle line across the border, and whether the first object lost one.
  const auto gap = [](const LabelMap& instances, SeparationBorder border) {
    const LabelMap classes = separate_instances(instances, border);
    int64_t width = 0, of_first = 0;
    for (int64_t k = 0; k < 8; ++k) {
      const bool row = instances.width == 8;
      const bool background = classes.at(row ? 3 : k, row ? k : 3) == 0;
      width += background, of_first += background && k < 4;
    }
    return std::pair(width, of_first);
  };
  using Gap = std::pair<int64_t, int64_t>;
  CHECK(gap(beside, SeparationBorder::freiburg) == Gap{2, 1});
  CHECK(gap(above, SeparationBorder::freiburg) == Gap{1, 0});
  CHECK(gap(beside, SeparationBorder::thin) == Gap{1, 0});
  CHECK(gap(above, SeparationBorder::thin) == Gap{1, 0});
  CHECK(gap(beside, SeparationBorder::sym) == Gap{2, 1});
  CHECK(gap(above, SeparationBorder::sym) == Gap{2, 1});
}

TEST_CASE("instances of unequal classes may touch") {
  const LabelMap instances = of_rows(4, {1, 2, 3, 3}), classes = of_rows(4, {1, 2, 2, 2});
  CHECK(separate_instances(instances, classes, SeparationBorder::freiburg).data == std::vector<int32_t>{1, 2, 0, 2});
  CHECK(separate_instances(instances, classes, SeparationBorder::sym).data == std::vector<int32_t>{1, 0, 0, 2});
  CHECK_THROWS_AS(separate_instances(instances, LabelMap(2, 2), SeparationBorder::sym), ShapeError);
}

TEST_CASE("no two instances stay neighbours, so that components find each again") {
  int64_t carved_pixels = 0;
  for (uint32_t step = 0; step < 400; ++step) {
    const LabelMap instances = test::random_labels(step, 40, 8);
    std::vector<int32_t> thinner;
    for (const SeparationBorder border : {SeparationBorder::thin, SeparationBorder::freiburg, SeparationBorder::sym}) {
      const LabelMap classes = separate_instances(instances, border);
      for (size_t i = 0; i < classes.data.size(); ++i)
        REQUIRE((classes.data[i] == 0 || thinner.empty() || thinner[i] == 1));
      thinner = classes.data;  // each rule takes all that the one before takes
      const LabelMap ids = connected_components(classes, Connectivity::eight).ids;
      std::map<int32_t, int32_t> instance_of;  // component -> the one instance it lies in
      for (size_t i = 0; i < ids.data.size(); ++i) {
        CAPTURE(step, i);
        REQUIRE(classes.data[i] == (ids.data[i] > 0 ? 1 : 0));
        carved_pixels += instances.data[i] > 0 && classes.data[i] == 0;
        if (ids.data[i] == 0) continue;
        REQUIRE(instance_of.try_emplace(ids.data[i], instances.data[i]).first->second == instances.data[i]);
      }
    }
  }
  CHECK(carved_pixels > 1000);
}

}  // namespace unet
