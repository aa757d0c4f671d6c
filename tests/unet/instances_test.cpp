#include "unet/instances.h"

#include <cmath>
#include <set>

#include "tests/catch.h"
#include "tests/unet/random_labels.h"
#include "unet/separation.h"

namespace unet {
namespace {

LabelMap map(int64_t width, std::vector<int32_t> data) {
  LabelMap labels(std::ssize(data) / width, width);
  labels.data = std::move(data);
  return labels;
}

/// Holes by flooding the background from the edge until nothing changes; for one label.
LabelMap reference_filled(const LabelMap& labels, bool by_corners) {
  LabelMap open(labels.height, labels.width);
  const auto reached = [&](int64_t y, int64_t x) {
    if (y == 0 || x == 0 || y == labels.height - 1 || x == labels.width - 1) return true;
    for (int64_t dy = -1; dy <= 1; ++dy) {
      for (int64_t dx = -1; dx <= 1; ++dx) {
        if ((by_corners || dy == 0 || dx == 0) && open.at(y + dy, x + dx) == 1) return true;
      }
    }
    return false;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (int64_t y = 0; y < labels.height; ++y) {
      for (int64_t x = 0; x < labels.width; ++x) {
        if (labels.at(y, x) != 0 || open.at(y, x) == 1 || !reached(y, x)) continue;
        open.at(y, x) = 1;
        changed = true;
      }
    }
  }
  for (int32_t& v : open.data) v = 1 - v;
  return open;
}

}  // namespace

TEST_CASE("instances: parts that only weak pixels join are divided, and weak pixels go to the nearer peak") {
  // Two peaks with a saddle of 0.6 nearer to the first; a third object without a strong pixel; a peak of one pixel.
  const std::vector<float> row{0.9F, 0.9F, 0.7F, 0.6F, 0.65F, 0.8F, 0.9F, 0.9F,
                               0,    0.7F, 0.7F, 0,    0.95F, 0.7F, 0.9F, 0.9F};
  Image probability(1, 16);
  probability.data = row;
  LabelMap classes(1, 16);
  for (size_t i = 0; i < row.size(); ++i) classes.data[i] = row[i] >= 0.5F ? 1 : 0;
  const auto split = [&](InstanceOptions options) { return find_instances(classes, options, probability); };
  CHECK(split({}).count == 3);
  CHECK(split({.split = 0.55}).count == 3);
  const Components found = split({.split = 0.85});
  CHECK(found.ids.data == std::vector<int32_t>{1, 1, 1, 1, 2, 2, 2, 2, 0, 3, 3, 0, 4, 4, 5, 5});
  CHECK(found.count == 5);
  CHECK(split({.min_area_px = 2, .split = 0.85}).ids.data ==
        std::vector<int32_t>{1, 1, 1, 1, 2, 2, 2, 2, 0, 3, 3, 0, 4, 4, 4, 4});
  CHECK_THROWS_AS(find_instances(classes, {.split = 0.85}), ShapeError);
}

TEST_CASE("instances: background that several parts enclose stays when instances are divided, a hole of one does not") {
  Image probability(9, 9, 1, 0.9F);
  for (int64_t i = 0; i < 9; ++i) probability.at(4, i) = 0.6F;  // a bridge between an upper and a lower part
  probability.at(4, 4) = probability.at(1, 1) = 0;
  LabelMap classes(9, 9, 1, 1);
  classes.at(4, 4) = classes.at(1, 1) = 0;
  const Components found = find_instances(classes, {.fill_holes = true, .split = 0.8}, probability);
  CHECK(found.count == 2);
  CHECK(found.ids.at(1, 1) == 1);
  CHECK(found.ids.at(4, 4) == 0);
  CHECK(find_instances(classes, {.fill_holes = true}).ids.at(4, 4) == 1);
}

TEST_CASE("instances: dividing keeps holes open, gives every pixel to one part, and follows the connectivity") {
  const auto parts = [](Connectivity connectivity) {
    LabelMap classes(9, 21);
    Image probability(9, 21);
    for (int64_t y = 0; y < 9; ++y) {
      for (int64_t x = 0; x < 21; ++x) {
        const auto distance = [&](int64_t cx) {
          return std::hypot(static_cast<double>(y - 4), static_cast<double>(x - cx));
        };
        const double nearest = std::min(distance(5), distance(15));
        classes.at(y, x) = nearest < 5.5 && !(y == 4 && x == 5) ? 1 : 0;
        probability.at(y, x) = static_cast<float>(classes.at(y, x) == 0 ? 0.1 : 1 - nearest / 12);
      }
    }
    return find_instances(classes, {.connectivity = connectivity, .split = 0.7}, probability).ids;
  };
  for (const Connectivity connectivity : {Connectivity::four, Connectivity::eight}) {
    const LabelMap ids = parts(connectivity);
    for (int64_t y = 0; y < 9; ++y) {
      for (int64_t x = 0; x < 21; ++x) {
        CAPTURE(y, x);
        if (x == 10 || ids.at(y, x) == 0) continue;  // as far from the one as from the other
        CHECK(ids.at(y, x) == (x < 10 ? ids.at(4, 4) : ids.at(4, 15)));
      }
    }
    CHECK(ids.at(4, 5) == 0);
    CHECK(ids.at(4, 10) != 0);
    CHECK(ids.at(4, 4) != ids.at(4, 15));
  }
}

TEST_CASE("instances: holes of one class are those that a flood from the edge leaves dry") {
  int filled = 0;
  for (uint32_t step = 0; step < 300; ++step) {
    LabelMap labels = test::random_labels(step, 20, 1);
    for (size_t i = 0; i < labels.data.size(); ++i) labels.data[i] ^= step % 2 == 0 && i % 3 != 0 ? 1 : 0;
    for (const Connectivity connectivity : {Connectivity::four, Connectivity::eight}) {
      LabelMap got = labels;
      fill_holes(got, connectivity);
      CAPTURE(step);
      REQUIRE(got.data == reference_filled(labels, connectivity == Connectivity::four).data);
      filled += got.data != labels.data ? 1 : 0;
    }
  }
  CHECK(filled > 50);
}

TEST_CASE("instances: a hole belongs to the only class around it") {
  LabelMap labels = map(7, {2, 2, 2, 1, 1, 1, 1,  //
                            2, 0, 2, 1, 0, 0, 2,  //
                            2, 2, 2, 1, 1, 2, 2,  //
                            0, 1, 1, 1, 0, 2, 0,  //
                            0, 1, 1, 1, 1, 1, 0});
  LabelMap expected = labels;
  expected.at(1, 1) = 2;
  fill_holes(labels, Connectivity::eight);
  CHECK(labels.data == expected.data);  // (1,4) lies between two classes, (3,4) too
}

TEST_CASE("instances: the separation border goes back to the instances that it was taken from") {
  LabelMap touching(30, 40);
  for (int64_t y = 2; y < 28; ++y) {
    for (int64_t x = 3; x < 37; ++x) touching.at(y, x) = static_cast<int32_t>(1 + (x - 3) / 12 + 3 * ((y - 2) / 9));
  }
  const LabelMap carved = separate_instances(touching, SeparationBorder::freiburg);
  const Components plain = find_instances(carved, {.connectivity = Connectivity::eight});
  CHECK(plain.count == 9);
  CHECK(plain.ids.data != touching.data);
  const Components grown = find_instances(carved, {.connectivity = Connectivity::eight, .regrow = true});
  int64_t carved_px = 0, wrong_px = 0;
  for (size_t i = 0; i < touching.data.size(); ++i) {
    carved_px += plain.ids.data[i] != touching.data[i] ? 1 : 0;
    wrong_px += grown.ids.data[i] != touching.data[i] ? 1 : 0;
  }
  CHECK(carved_px > 100);
  CHECK(wrong_px <= 8);  // at most two where four instances meet
}

TEST_CASE("instances: regrowth neither merges nor reaches into open background") {
  int64_t given = 0;
  for (uint32_t step = 0; step < 200; ++step) {
    const LabelMap before = connected_components(test::random_labels(step, 25, 4), Connectivity::four).ids;
    LabelMap after = before;
    regrow_separation(after);
    for (int64_t y = 0; y < before.height; ++y) {
      for (int64_t x = 0; x < before.width; ++x) {
        const auto id = [&](int64_t v, int64_t u) {
          return v < 0 || u < 0 || v >= before.height || u >= before.width ? 0 : before.at(v, u);
        };
        std::set<int32_t> between;  // instances with another one on the other side of the pixel
        for (int64_t dy = -1; dy <= 1; ++dy) {
          for (int64_t dx = -1; dx <= 1; ++dx) {
            const int32_t near = id(y + dy, x + dx),
                          far = id(y - dy, x - dx) != 0 ? id(y - dy, x - dx) : id(y - 2 * dy, x - 2 * dx);
            if (near != 0 && far != 0 && near != far) between.insert(near);
          }
        }
        if (before.at(y, x) != 0) {
          REQUIRE(after.at(y, x) == before.at(y, x));
        } else if (between.empty()) {
          REQUIRE(after.at(y, x) == 0);
        } else {
          REQUIRE(between.contains(after.at(y, x)));
          ++given;
        }
      }
    }
  }
  CHECK(given > 100);
}

TEST_CASE("instances: holes count for the area, regrowth does not") {
  const LabelMap classes = map(8, {1, 1, 1, 0, 1, 0, 1, 1,  //
                                   1, 0, 1, 0, 1, 0, 1, 1,  //
                                   1, 1, 1, 0, 1, 0, 1, 1});
  CHECK(find_instances(classes, {}).count == 3);
  CHECK(find_instances(classes, {.min_area_px = 9}).count == 0);
  const Components filled = find_instances(classes, {.fill_holes = true, .min_area_px = 9, .regrow = true});
  CHECK(filled.count == 1);
  CHECK(filled.ids.data == map(8, {1, 1, 1, 0, 0, 0, 0, 0,  //
                                   1, 1, 1, 0, 0, 0, 0, 0,  //
                                   1, 1, 1, 0, 0, 0, 0, 0})
                               .data);
  CHECK(find_instances(classes, {.min_area_px = 6, .regrow = true}).ids.data == map(8, {1, 1, 1, 0, 0, 0, 2, 2,  //
                                                                                        1, 0, 1, 0, 0, 0, 2, 2,  //
                                                                                        1, 1, 1, 0, 0, 0, 2, 2})
                                                                                    .data);
  CHECK_THROWS_AS(find_instances(LabelMap(2, 2, 2), {}), ShapeError);
}

}  // namespace unet
