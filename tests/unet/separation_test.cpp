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
    for (const SeparationBorder border : {SeparationBorder::freiburg, SeparationBorder::sym}) {
      const LabelMap classes = separate_instances(instances, border);
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
