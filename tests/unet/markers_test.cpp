#include "unet/markers.h"

#include <cmath>

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

LabelMap classes_of(LabelMap instances) {
  for (int32_t& v : instances.data) v = std::min(v, 1);
  return instances;
}

}  // namespace

TEST_CASE("a marked object has a label if labels cover more than half of its mark") {
  const LabelMap instances = of_rows(8, {1, 1, 0, 0, 0, 0, 2, 2,  //
                                         1, 1, 0, 0, 0, 0, 2, 2,  //
                                         0, 0, 0, 0, 0, 0, 0, 0,  //
                                         0, 0, 0, 0, 0, 0, 0, -1});
  const LabelMap markers = of_rows(8, {7, 7, 7, 0, 0, 5, 5, 0,    // two of three pixels; one of two
                                       0, 0, 0, 0, 0, 0, 0, 0,    //
                                       0, 0, 0, 9, 0, 4, 0, 0,    // touches the next in a corner: one object
                                       0, 0, 9, 0, 0, 6, 0, 3});  // another id is another object; on ignored ground
  const MarkedPage page = compare_markers(markers, instances);
  CHECK(page.objects == 6);
  CHECK(page.unlabelled_objects == 5);
  CHECK(page.unlabelled.data == of_rows(8, {0, 0, 0, 0, 0, 1, 1, 0,  //
                                            0, 0, 0, 0, 0, 0, 0, 0,  //
                                            0, 0, 0, 1, 0, 1, 0, 0,  //
                                            0, 0, 1, 0, 0, 1, 0, 1})
                                    .data);
  // Object 1 reaches one pixel down from its mark. The marks (0,5), (0,6) touch object 2, whose corner is (1,7).
  CHECK(page.reaches_px == std::vector<double>{1, std::sqrt(2.0)});
  CHECK_THROWS_AS(compare_markers(LabelMap(2, 2), LabelMap(2, 3)), ShapeError);
  CHECK_THROWS_AS(compare_markers(LabelMap(2, 2, 2), LabelMap(2, 2, 2)), ShapeError);
}

TEST_CASE("background near marks of unlabelled objects is ignored, nothing else") {
  LabelMap instances(7, 9);
  instances.at(3, 5) = 4;
  LabelMap markers(7, 9);
  markers.at(3, 3) = 1;
  LabelMap classes = classes_of(instances);
  CHECK(ignore_unlabelled(compare_markers(markers, instances), 2, instances, classes) == 12);
  for (int64_t y = 0; y < 7; ++y) {
    for (int64_t x = 0; x < 9; ++x) {
      const bool near = (y - 3) * (y - 3) + (x - 3) * (x - 3) <= 4, labelled = y == 3 && x == 5;
      CAPTURE(y, x);
      CHECK(instances.at(y, x) == (labelled ? 4 : near ? -1 : 0));
      CHECK(classes.at(y, x) == (labelled ? 1 : near ? -1 : 0));
    }
  }
}

TEST_CASE("a radius that is a distance between pixels reaches them, rounded as it may be") {
  for (int64_t reach = 1; reach < 30; ++reach) {
    LabelMap markers(31, 31), instances(31, 31), classes(31, 31);
    markers.at(0, 0) = 1;
    const double radius = std::hypot(reach, reach / 2) / 0.3 * 0.3;  // as where pages are scaled
    ignore_unlabelled(compare_markers(markers, instances), radius, instances, classes);
    CAPTURE(reach);
    CHECK(classes.at(reach, reach / 2) == -1);
    CHECK(classes.at(reach + 1, reach / 2) == 0);
  }
}

TEST_CASE("on random pages, marks without labels are ignored and labels stay") {
  int64_t unlabelled = 0, labelled = 0;
  for (uint32_t step = 0; step < 150; ++step) {
    const LabelMap truth = test::random_labels(step, 30, 6);
    LabelMap instances = truth;  // some objects lose their label
    for (int32_t& id : instances.data) id = id % 2 == 1 ? 0 : id;
    LabelMap classes = classes_of(instances);
    const LabelMap before = instances;
    const double radius = step % 5 * 1.1;
    const MarkedPage page = compare_markers(truth, instances);
    const int64_t ignored = ignore_unlabelled(page, radius, instances, classes);
    CHECK(page.objects == connected_components(truth, Connectivity::eight).count);
    CHECK(ignored == std::count(classes.data.begin(), classes.data.end(), -1));
    for (const double reach : page.reaches_px) CHECK(reach == 0);  // masks as marks cover their objects
    unlabelled += page.unlabelled_objects, labelled += page.objects - page.unlabelled_objects;
    for (int64_t y = 0; y < truth.height; ++y) {
      for (int64_t x = 0; x < truth.width; ++x) {
        bool near = false;
        for (int64_t i = 0; i < truth.pixels() && !near; ++i) {
          const auto dy = static_cast<double>(i / truth.width - y), dx = static_cast<double>(i % truth.width - x);
          near = truth.data[static_cast<size_t>(i)] % 2 == 1 && dy * dy + dx * dx <= radius * radius;
        }
        CAPTURE(step, y, x);
        if (before.at(y, x) > 0) {
          REQUIRE(instances.at(y, x) == before.at(y, x));
          REQUIRE(classes.at(y, x) == 1);
        } else {
          REQUIRE(classes.at(y, x) == (near ? -1 : 0));
          REQUIRE(instances.at(y, x) == classes.at(y, x));
        }
      }
    }
  }
  CHECK(unlabelled > 100);
  CHECK(labelled > 100);
}

}  // namespace unet
