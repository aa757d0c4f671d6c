#include "unet/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "tests/catch.h"
#include "unet/components.h"

namespace unet {
namespace {

using Maker = SyntheticPage (*)(int64_t, int64_t, uint64_t, int64_t);
constexpr std::array<Maker, 2> kMakers{synthetic_membranes, synthetic_cells};

double share_of(const LabelMap& labels, int32_t value) {
  return static_cast<double>(std::count(labels.data.begin(), labels.data.end(), value)) /
         static_cast<double>(labels.pixels());
}

/// Share of wrong pixels after the best threshold on gray values, with either side as foreground.
double best_threshold_error(const SyntheticPage& page) {
  double best = 1;
  for (int threshold = 0; threshold <= 256; ++threshold) {
    int64_t wrong = 0;
    for (size_t i = 0; i < page.image.data.size(); ++i) {
      wrong += (page.image.data[i] >= static_cast<float>(threshold)) != (page.labels.data[i] > 0);
    }
    const double error = static_cast<double>(wrong) / static_cast<double>(page.image.pixels());
    best = std::min({best, error, 1 - error});
  }
  return best;
}

/// Share of pixels whose label differs.
double difference(const LabelMap& a, const LabelMap& b) {
  int64_t unequal = 0;
  for (size_t i = 0; i < a.data.size(); ++i) unequal += a.data[i] != b.data[i];
  return static_cast<double>(unequal) / static_cast<double>(a.pixels());
}

}  // namespace

TEST_CASE("synthetic pages: equal arguments give equal pages, others do not") {
  for (const Maker make : kMakers) {
    const SyntheticPage page = make(70, 90, 5, 3), again = make(70, 90, 5, 3);
    CHECK(page.image.data == again.image.data);
    CHECK(page.labels.data == again.labels.data);
    for (const SyntheticPage& other : {make(70, 90, 6, 3), make(70, 90, 5, 4)}) {
      CHECK(page.image.data != other.image.data);
      CHECK(page.labels.data != other.labels.data);
    }
  }
}

TEST_CASE("synthetic pages: any size, gray values are whole numbers of 8 bits") {
  for (const Maker make : kMakers) {
    for (const auto& [height, width] : {std::pair{1, 1}, {1, 200}, {200, 1}, {7, 9}, {133, 71}}) {
      const SyntheticPage page = make(height, width, 1, 0);
      CHECK(page.image.shape_text() == concat("[", height, ",", width, ",1]"));
      CHECK(page.labels.shape_text() == page.image.shape_text());
      CHECK(std::all_of(page.image.data.begin(), page.image.data.end(),
                        [](float gray) { return gray >= 0 && gray <= 255 && gray == std::floor(gray); }));
    }
    CHECK_THROWS_AS(make(0, 5, 1, 0), ShapeError);
    CHECK_THROWS_AS(make(5, -1, 1, 0), ShapeError);
    CHECK_THROWS_AS(make(5, 5, 1, -1), ConfigError);
  }
}

TEST_CASE("synthetic pages: gray values use the range and are not cut off") {
  for (const Maker make : kMakers) {
    const SyntheticPage page = make(256, 256, 2, 0);
    const auto [low, high] = std::minmax_element(page.image.data.begin(), page.image.data.end());
    CHECK(*high - *low > 120);
    const auto cut = std::count_if(page.image.data.begin(), page.image.data.end(),
                                   [](float gray) { return gray == 0 || gray == 255; });
    CHECK(cut < page.image.pixels() / 100);
  }
}

TEST_CASE("synthetic pages: no threshold on gray values segments them") {
  for (const Maker make : kMakers) {
    for (const int64_t number : {0, 7}) CHECK(best_threshold_error(make(384, 384, 1, number)) > 0.13);
  }
}

TEST_CASE("synthetic membranes: thin walls around many cells") {
  for (const uint64_t seed : {1, 2, 3}) {
    const LabelMap labels = synthetic_membranes(256, 256, seed, 0).labels;
    const double membrane = share_of(labels, 0);
    CHECK(membrane > 0.15);
    CHECK(membrane < 0.35);
    CHECK(membrane + share_of(labels, 255) == 1);
    LabelMap cells = labels;
    for (int32_t& label : cells.data) label = label == 255 ? 1 : 0;
    const int32_t count = connected_components(cells, Connectivity::four).count;
    CHECK(count > 20);  // one cell, were the walls open
    CHECK(count < 150);
  }
}

TEST_CASE("synthetic membranes: sections change slowly") {
  const LabelMap first = synthetic_membranes(256, 256, 4, 10).labels;
  const double next = difference(first, synthetic_membranes(256, 256, 4, 11).labels);
  const double far = difference(first, synthetic_membranes(256, 256, 4, 40).labels);
  CHECK(next > 0.02);
  CHECK(next < 0.75 * far);
}

TEST_CASE("synthetic cells: each number from 1 is one connected region, and many touch") {
  const LabelMap labels = synthetic_cells(300, 280, 3, 2).labels;
  const std::set<int32_t> numbers(labels.data.begin(), labels.data.end());
  const auto cells = std::ssize(numbers) - 1;
  CHECK(*numbers.begin() == 0);
  CHECK(*numbers.rbegin() == cells);
  CHECK(cells > 30);
  CHECK(cells == connected_components(labels, Connectivity::four).count);
  CHECK(share_of(labels, 0) > 0.3);
  CHECK(share_of(labels, 0) < 0.8);

  std::set<std::pair<int32_t, int32_t>> touching;
  for (int64_t y = 0; y < labels.height; ++y) {
    for (int64_t x = 1; x < labels.width; ++x) {
      const int32_t left = labels.at(y, x - 1), right = labels.at(y, x);
      if (left != 0 && right != 0 && left != right) touching.insert(std::minmax(left, right));
    }
  }
  CHECK(std::ssize(touching) > cells / 4);
}

}  // namespace unet
