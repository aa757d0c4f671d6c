#include "unet/augment.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tests/catch.h"
#include "unet/deformation.h"
#include "unet/random.h"
#include "unet/separation.h"
#include "unet/tile.h"
#include "unet/weight_map.h"

namespace unet {
namespace {

constexpr int64_t kSide = 66, kOut = 50, kMargin = 8;  // of a network of depth 1

/// Page whose image channels are the coordinates, y and x, and whose labels number the pixels.
TrainingPage coordinate_page(int64_t height, int64_t width) {
  TrainingPage page{
      .image = Image(height, width, 2), .classes = LabelMap(height, width), .weights = Image(height, width)};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      page.image.at(y, x, 0) = static_cast<float>(y);
      page.image.at(y, x, 1) = static_cast<float>(x);
      page.classes.at(y, x) = static_cast<int32_t>(y * width + x);
      page.weights.at(y, x) = static_cast<float>(3 * y + 5 * x);
    }
  }
  return page;
}

TrainingConfig still() {
  TrainingConfig config;
  config.network.depth = 1;
  config.tile.input = kSide;
  config.augmentation = {.rotation = false, .shift = 0, .elastic = ElasticKind::none, .gray = false};
  return config;
}

}  // namespace

TEST_CASE("without deformation a sample is a window of the mirrored page, bit for bit") {
  const std::vector<TrainingPage> pages{coordinate_page(80, 45)};
  for (int64_t index = 0; index < 40; ++index) {
    const Sample sample = draw_sample(pages, still(), index);
    // Where the window begins along an axis: the place from which the mirrored coordinates are those of the sample.
    const auto begin = [&](int64_t c, int64_t length) {
      for (int64_t start = -kSide; start < length; ++start) {
        bool equal = true;
        for (int64_t i = 0; i < kSide && equal; ++i) {
          equal = sample.image.at(c == 0 ? i : 0, c == 0 ? 0 : i, c) == static_cast<float>(mirror(start + i, length));
        }
        if (equal) return start;
      }
      FAIL("no window fits");
      return length;
    };
    const int64_t y0 = begin(0, 80), x0 = begin(1, 45);
    REQUIRE(extract_tile(pages[0].image, {y0, x0, kSide, kSide}).data == sample.image.data);
    for (int64_t y = 0; y < kOut; ++y) {
      for (int64_t x = 0; x < kOut; ++x) {
        const int64_t py = mirror(y0 + kMargin + y, 80), px = mirror(x0 + kMargin + x, 45);
        REQUIRE(sample.labels.at(y, x) == py * 45 + px);
        REQUIRE(sample.weights.at(y, x) == static_cast<float>(3 * py + 5 * px));
      }
    }
  }
}

TEST_CASE("the placement says where a sample lies") {
  const std::vector<TrainingPage> pages{coordinate_page(300, 400), coordinate_page(200, 250)};
  TrainingConfig config = still();
  config.augmentation.rotation = config.augmentation.flips = true;
  std::set<size_t> met;
  for (int64_t index = 0; index < 40; ++index) {
    const Placement placement = draw_placement(pages, config, index);
    met.insert(placement.page);
    CHECK(std::abs(placement.yy * placement.xx - placement.yx * placement.xy) == Approx(1));
    const Size page{pages[placement.page].image.height, pages[placement.page].image.width};
    if (placement.centre_y < kSide || placement.centre_y > static_cast<double>(page.height - kSide) ||
        placement.centre_x < kSide || placement.centre_x > static_cast<double>(page.width - kSide)) {
      continue;  // the tile may reach into the mirrored margin, whose coordinates run backwards
    }
    const Sample sample = draw_sample(pages, config, index);
    for (int64_t y = 0; y < kSide; y += 13) {
      for (int64_t x = 0; x < kSide; x += 13) {
        const double oy = static_cast<double>(y) - (kSide - 1) / 2.0, ox = static_cast<double>(x) - (kSide - 1) / 2.0;
        REQUIRE(sample.image.at(y, x, 0) + sample.image.at(y, x, 1) ==
                Approx(placement.centre_y + placement.yy * oy + placement.yx * ox + placement.centre_x +
                       placement.xy * oy + placement.xx * ox)
                    .margin(1e-3));
      }
    }
  }
  CHECK(met.size() == 2);
}

TEST_CASE("image, labels and weights are read at one place") {
  const std::vector<TrainingPage> pages{coordinate_page(300, 400)};
  for (int variant = 0; variant < 4; ++variant) {
    TrainingConfig config = still();
    config.augmentation.rotation = variant != 1;
    config.augmentation.flips = variant == 2;
    config.augmentation.shift = variant == 3 ? 8 : 0;
    config.augmentation.elastic = variant == 0 ? ElasticKind::none : ElasticKind::grid3;
    for (int64_t index = 0; index < 25; ++index) {
      const Sample sample = draw_sample(pages, config, index);
      for (int64_t y = 0; y < kOut; ++y) {
        for (int64_t x = 0; x < kOut; ++x) {
          const float py = sample.image.at(y + kMargin, x + kMargin, 0),
                      px = sample.image.at(y + kMargin, x + kMargin, 1);
          const int32_t label = sample.labels.at(y, x);
          const auto label_y = static_cast<float>(label / 400), label_x = static_cast<float>(label % 400);
          CAPTURE(variant, index, y, x, py, px, label_y, label_x);
          REQUIRE(std::abs(label_y - py) <= 0.501F);
          REQUIRE(std::abs(label_x - px) <= 0.501F);
          // A mirrored linear map is bent between the last pixel and its reflection, but exactly on a pixel there.
          REQUIRE(sample.weights.at(y, x) == Approx(3 * py + 5 * px).margin(0.01));
        }
      }
    }
  }
}

TEST_CASE("rotations are rigid, of every angle, about the tile's centre") {
  const std::vector<TrainingPage> pages{coordinate_page(4000, 4000)};
  TrainingConfig config = still();
  config.augmentation.rotation = true;
  int quadrants[4] = {};
  for (int64_t index = 0; index < 60; ++index) {
    const Image image = draw_sample(pages, config, index).image;
    const auto at = [&](int64_t y, int64_t x, int64_t c) { return static_cast<double>(image.at(y, x, c)); };
    const double cos_y = (at(kSide - 1, 0, 0) - at(0, 0, 0)) / (kSide - 1);
    const double sin_y = (at(kSide - 1, 0, 1) - at(0, 0, 1)) / (kSide - 1);
    const double middle_y = (at(0, 0, 0) + at(kSide - 1, kSide - 1, 0)) / 2;
    if (middle_y < 60 || middle_y > 3940 || at(0, 0, 1) < 100 || at(0, 0, 1) > 3900) continue;  // mirrored
    CAPTURE(index);
    REQUIRE(cos_y * cos_y + sin_y * sin_y == Approx(1).epsilon(1e-4));
    REQUIRE((at(0, kSide - 1, 1) - at(0, 0, 1)) / (kSide - 1) == Approx(cos_y).margin(1e-4));
    REQUIRE((at(0, kSide - 1, 0) - at(0, 0, 0)) / (kSide - 1) == Approx(-sin_y).margin(1e-4));
    // The centre of a tile of even side falls between pixels whatever the angle.
    REQUIRE(middle_y - std::floor(middle_y) == Approx(0.5).margin(1e-3));
    ++quadrants[(cos_y > 0 ? 2 : 0) + (sin_y > 0 ? 1 : 0)];
  }
  for (const int count : quadrants) CHECK(count > 4);
}

TEST_CASE("flips mirror the tile in both directions, independently") {
  const std::vector<TrainingPage> pages{coordinate_page(2000, 2000)};
  TrainingConfig config = still();
  config.augmentation.flips = true;
  int seen[4] = {};
  for (int64_t index = 0; index < 80; ++index) {
    const Image flipped = draw_sample(pages, config, index).image;
    config.augmentation.flips = false;
    const Image plain = draw_sample(pages, config, index).image;
    config.augmentation.flips = true;
    const auto is_flip = [&](bool up_down, bool left_right) {
      for (int64_t y = 0; y < kSide; ++y) {
        for (int64_t x = 0; x < kSide; ++x) {
          const int64_t from_y = up_down ? kSide - 1 - y : y, from_x = left_right ? kSide - 1 - x : x;
          for (int64_t c = 0; c < 2; ++c) {
            if (flipped.at(y, x, c) != plain.at(from_y, from_x, c)) return false;
          }
        }
      }
      return true;
    };
    int matches = 0;
    for (const int kind : {0, 1, 2, 3}) {
      const bool matching = is_flip(kind / 2 == 1, kind % 2 == 1);
      seen[kind] += matching, matches += matching;
    }
    REQUIRE(matches == 1);
  }
  for (const int count : seen) CHECK(count > 8);
}

TEST_CASE("rotations and flips together keep lengths and right angles") {
  const std::vector<TrainingPage> pages{coordinate_page(4000, 4000)};
  TrainingConfig config = still();
  config.augmentation.rotation = config.augmentation.flips = true;
  int reflections = 0, checked = 0;
  for (int64_t index = 0; index < 40; ++index) {
    const Image image = draw_sample(pages, config, index).image;
    const auto step = [&](int64_t y, int64_t x, int64_t c) {  // from the tile's first pixel to another corner
      return static_cast<double>(image.at(y, x, c) - image.at(0, 0, c)) / (kSide - 1);
    };
    const float y = image.at(0, 0, 0), x = image.at(0, 0, 1);
    if (y < 100 || y > 3900 || x < 100 || x > 3900) continue;  // mirrored
    const double yy = step(kSide - 1, 0, 0), xy = step(kSide - 1, 0, 1);
    const double yx = step(0, kSide - 1, 0), xx = step(0, kSide - 1, 1);
    CAPTURE(index, yy, yx, xy, xx);
    REQUIRE(yy * yy + xy * xy == Approx(1).epsilon(1e-4));
    REQUIRE(yx * yx + xx * xx == Approx(1).epsilon(1e-4));
    REQUIRE(yy * yx + xy * xx == Approx(0).margin(1e-4));
    reflections += yy * xx < yx * xy;
    ++checked;
  }
  CHECK(reflections > 8);
  CHECK(reflections < checked - 8);
}

TEST_CASE("the elastic field moves pixels by its displacement") {
  const std::vector<TrainingPage> pages{coordinate_page(3000, 3000)};
  TrainingConfig config = still();
  const Image straight = draw_sample(pages, config, 5).image;
  config.augmentation.elastic = ElasticKind::grid3;
  const Image bent = draw_sample(pages, config, 5).image;
  double sum = 0;
  for (size_t i = 0; i < bent.data.size(); ++i) {
    const auto move = static_cast<double>(bent.data[i] - straight.data[i]);
    sum += move * move;
  }
  const double rms = std::sqrt(sum / static_cast<double>(bent.data.size()));
  CHECK(rms > 3);
  CHECK(rms < 15);
}

TEST_CASE("the rotated and flipped picture is displaced, not the other way round") {
  const std::vector<TrainingPage> pages{coordinate_page(4000, 4000)};
  for (const ElasticKind kind : {ElasticKind::grid3, ElasticKind::bspline, ElasticKind::simard}) {
    TrainingConfig config = still();
    config.augmentation.rotation = config.augmentation.flips = true;
    config.augmentation.simard_alpha = 200, config.augmentation.simard_sigma = 8;
    int checked = 0;
    for (int64_t index = 0; index < 6; ++index) {
      config.augmentation.elastic = ElasticKind::none;
      const Image turned = draw_sample(pages, config, index).image;
      const float y0 = turned.at(0, 0, 0), x0 = turned.at(0, 0, 1);
      if (y0 < 150 || y0 > 3850 || x0 < 150 || x0 > 3850) continue;  // mirrored
      config.augmentation.elastic = kind;
      const Image bent = draw_sample(pages, config, index).image;
      const auto field = draw_field(config.augmentation, {kSide, kSide}, static_cast<uint64_t>(config.run.seed),
                                    static_cast<uint32_t>(index));
      std::vector<float> dy(kSide), dx(kSide);
      for (int64_t y = 0; y < kSide; ++y) {
        field->row(y, dy.data(), dx.data());
        for (int64_t x = 0; x < kSide; ++x) {
          for (int64_t c = 0; c < 2; ++c) {  // the turned picture is a linear map: its values between pixels are known
            const float step_y = (turned.at(kSide - 1, 0, c) - turned.at(0, 0, c)) / (kSide - 1);
            const float step_x = (turned.at(0, kSide - 1, c) - turned.at(0, 0, c)) / (kSide - 1);
            const auto at = static_cast<size_t>(x);
            const float expected = turned.at(0, 0, c) + step_y * (static_cast<float>(y) + dy[at]) +
                                   step_x * (static_cast<float>(x) + dx[at]);
            CAPTURE(name_of(kind), index, y, x, c);
            REQUIRE(bent.at(y, x, c) == Approx(expected).margin(0.02));
          }
        }
      }
      ++checked;
    }
    CHECK(checked > 2);
  }
}

TEST_CASE("images are read between pixels bilinearly, labels at the nearest pixel") {
  // Two channels tell where a pixel was read, the third is noise: interpolated any other way it would differ.
  TrainingPage page = coordinate_page(150, 160);
  page.image = Image(150, 160, 3);
  RandomStream random(3, Purpose::synthetic_noise, 0);
  for (int64_t y = 0; y < 150; ++y) {
    for (int64_t x = 0; x < 160; ++x) {
      page.image.at(y, x, 0) = static_cast<float>(y), page.image.at(y, x, 1) = static_cast<float>(x);
      page.image.at(y, x, 2) = static_cast<float>(random.uniform(0, 1));
    }
  }
  TrainingConfig config = still();
  config.augmentation.rotation = true, config.augmentation.elastic = ElasticKind::grid3;
  int64_t between = 0;
  for (int64_t index = 0; index < 12; ++index) {
    const Sample sample = draw_sample({page}, config, index);
    for (int64_t y = 0; y < kSide; ++y) {
      for (int64_t x = 0; x < kSide; ++x) {
        const auto qy = static_cast<double>(sample.image.at(y, x, 0)),
                   qx = static_cast<double>(sample.image.at(y, x, 1));
        const auto fy = static_cast<int64_t>(qy), fx = static_cast<int64_t>(qx);
        if (fy < 1 || fx < 1 || fy > 147 || fx > 157) continue;  // near the mirror
        const auto noise = [&](int64_t i, int64_t j) { return static_cast<double>(page.image.at(fy + i, fx + j, 2)); };
        const double v = qy - static_cast<double>(fy), u = qx - static_cast<double>(fx);
        const double expected =
            (1 - v) * ((1 - u) * noise(0, 0) + u * noise(0, 1)) + v * ((1 - u) * noise(1, 0) + u * noise(1, 1));
        CAPTURE(index, y, x, qy, qx);
        REQUIRE(static_cast<double>(sample.image.at(y, x, 2)) == Approx(expected).margin(1e-3));
        between += v > 0.3 && v < 0.7 && u > 0.3 && u < 0.7;
        const int64_t oy = y - kMargin, ox = x - kMargin;
        if (oy < 0 || ox < 0 || oy >= kOut || ox >= kOut) continue;
        if (std::abs(v - 0.5) < 1e-3 || std::abs(u - 0.5) < 1e-3) continue;  // either neighbour is nearest
        REQUIRE(sample.labels.at(oy, ox) == (fy + (v > 0.5)) * 160 + fx + (u > 0.5));
      }
    }
  }
  CHECK(between > 1000);
}

TEST_CASE("gray curve and centre act on the image alone, the curve first") {
  TrainingPage page{.centre = 0.5F, .classes = LabelMap(90, 90, 1, 1), .weights = Image(90, 90, 1, 2.5F)};
  page.image = Image(90, 90, 1, 0.25F);
  const std::vector<TrainingPage> pages{page};
  TrainingConfig config = still();
  for (const float v : draw_sample(pages, config, 0).image.data) REQUIRE(v == -0.25F);
  config.augmentation.gray = true;
  float least = 1, most = -1;
  for (int64_t index = 0; index < 50; ++index) {
    const Sample sample = draw_sample(pages, config, index);
    const float first = sample.image.data[0];
    for (const float v : sample.image.data) REQUIRE(v == first);
    REQUIRE(std::abs(first + 0.25F) < 0.15F);
    REQUIRE(sample.weights.data[0] == 2.5F);
    REQUIRE(sample.labels.data[0] == 1);
    least = std::min(least, first), most = std::max(most, first);
  }
  CHECK(most - least > 0.03F);
}

TEST_CASE("a sample is a function of seed and number, every page and ignored pixels come through") {
  std::vector<TrainingPage> pages{coordinate_page(70, 70), coordinate_page(90, 60), coordinate_page(66, 66)};
  for (size_t i = 0; i < pages.size(); ++i) {
    std::fill(pages[i].classes.data.begin(), pages[i].classes.data.end(), static_cast<int32_t>(i) - 1);
  }
  TrainingConfig config;
  config.network.depth = 1;
  config.tile.input = kSide;
  int seen[3] = {};
  for (int64_t index = 0; index < 60; ++index) {
    const Sample a = draw_sample(pages, config, index), b = draw_sample(pages, config, index);
    REQUIRE(a.image.data == b.image.data);
    REQUIRE(a.weights.data == b.weights.data);
    REQUIRE(a.labels.data == b.labels.data);
    REQUIRE(a.image.data != draw_sample(pages, config, index + 1000).image.data);
    for (const int32_t label : a.labels.data) REQUIRE(label == a.labels.data[0]);
    ++seen[a.labels.data[0] + 1];
  }
  for (const int count : seen) CHECK(count > 8);
  const Sample one = draw_sample(pages, config, 3);
  config.run.seed = 99;
  CHECK(draw_sample(pages, config, 3).image.data != one.image.data);
}

TEST_CASE("tiles by label density: pixels of objects 10 times as often as background, ignored ones never") {
  TrainingPage page{.name = "page", .image = Image(24, 30), .classes = LabelMap(24, 30)};
  for (int64_t y = 0; y < 24; ++y) {
    for (int64_t x = 0; x < 30; ++x) {
      page.classes.at(y, x) = y < 6 || x == 4 ? -1 : (y - 15) * (y - 15) + (x - 20) * (x - 20) < 30 ? 1 + y % 2 : 0;
    }
  }
  TrainingConfig config = still();
  TrainingSet set;
  set.training.push_back(page);
  set.training[0].instances = page.classes;
  prepare_weights(set, 3, config);
  REQUIRE(set.training[0].classes.data == page.classes.data);

  constexpr int64_t kDraws = 40000;
  /// Sum over all pixels with truth of (seen - expected)^2 / expected; its mean is the number of pixels less one.
  const auto chi_square = [&](TileSampling sampling, int64_t& on_ignored) {
    config.augmentation.sampling = sampling;
    Grid<int64_t> seen(24, 30);
    for (int64_t index = 0; index < kDraws; ++index) {
      const Placement placement = draw_placement(set.training, config, index);
      const double half = (kSide - 1) / 2.0;  // the tile's central pixel lies half a pixel before the centre
      ++seen.at(static_cast<int64_t>(placement.centre_y - half + std::floor(half)),
                static_cast<int64_t>(placement.centre_x - half + std::floor(half)));
    }
    double total = 0, sum = 0;
    for (const int32_t label : page.classes.data) total += label > 0 ? 1 : label == 0 ? 0.1 : 0;
    on_ignored = 0;
    for (size_t i = 0; i < seen.data.size(); ++i) {
      const int32_t label = page.classes.data[i];
      const double expected = (label > 0 ? 1 : 0.1) / total * kDraws,
                   off = static_cast<double>(seen.data[i]) - expected;
      if (label < 0) on_ignored += seen.data[i];
      if (label >= 0) sum += off * off / expected;
    }
    return sum;
  };
  const auto pixels = static_cast<double>(
      std::count_if(page.classes.data.begin(), page.classes.data.end(), [](int32_t label) { return label >= 0; }));
  const double bound = pixels + 4 * std::sqrt(2 * pixels);  // four standard deviations
  int64_t on_ignored = 0;
  CHECK(chi_square(TileSampling::density, on_ignored) < bound);
  CHECK(on_ignored == 0);
  CHECK(chi_square(TileSampling::uniform, on_ignored) > 10 * bound);
  CHECK(on_ignored > 1000);
}

TEST_CASE("tiles by label density need a page with labels") {
  TrainingPage page{
      .name = "blank.tif", .image = Image(9, 9), .instances = LabelMap(9, 9, 1, -1), .classes = LabelMap(9, 9, 1, -1)};
  TrainingConfig config = still();
  TrainingSet set;
  set.training.push_back(page);
  prepare_weights(set, 2, config);
  config.augmentation.sampling = TileSampling::density;
  CHECK_THROWS_WITH(prepare_weights(set, 2, config), Catch::Contains("blank.tif") && Catch::Contains("only ignored"));
  CHECK_THROWS_AS(draw_placement({page}, config, 0), DataError);
}

namespace {

/// A page of 3 classes whose objects often touch, prepared for `config`.
TrainingSet touching_objects(const TrainingConfig& config) {
  TrainingPage page{.name = "page", .image = Image(200, 220), .instances = LabelMap(200, 220)};
  RandomStream random(7, Purpose::synthetic_shape, 0);
  for (int32_t id = 1; id <= 60; ++id) {
    const int64_t y0 = random.below(180), x0 = random.below(200), height = 4 + random.below(30),
                  width = 4 + random.below(30);
    for (int64_t y = y0; y < std::min<int64_t>(200, y0 + height); ++y) {
      for (int64_t x = x0; x < std::min<int64_t>(220, x0 + width); ++x) page.instances.at(y, x) = id % 5 == 0 ? -1 : id;
    }
  }
  page.classes = page.instances;
  for (int32_t& c : page.classes.data) c = c > 0 ? 1 + c % 2 : c;
  TrainingSet set;
  set.training.push_back(page);
  prepare_weights(set, 3, config);
  return set;
}

}  // namespace

TEST_CASE("recomputed weight maps are those of the deformed objects, and fit the labels pixel for pixel") {
  for (const SeparationBorder border : {SeparationBorder::freiburg, SeparationBorder::sym}) {
    TrainingConfig config = still();
    config.augmentation.rotation = config.augmentation.flips = true;
    config.weight_map.update = WeightMapUpdate::recompute, config.weight_map.border = border;
    const TrainingSet set = touching_objects(config);
    // The same places with ids and uncarved classes as the labels: of a tile whose output is the whole of the first.
    TrainingConfig warp = config;
    warp.weight_map.update = WeightMapUpdate::warp, warp.tile.input = kSide + 2 * kMargin;
    std::vector<TrainingPage> ids = set.training, uncarved = set.training;
    ids[0].classes = set.training[0].instances, uncarved[0].classes = set.training[0].uncarved;
    int64_t gaps = 0, ignored = 0;
    for (int64_t index = 0; index < 20; ++index) {
      const Sample sample = draw_sample(set.training, config, index);
      const LabelMap deformed = draw_sample(ids, warp, index).labels;
      const LabelMap labels = separate_instances(deformed, draw_sample(uncarved, warp, index).labels, border);
      const Image weights = weight_map(deformed, labels, set.class_weights, config.weight_map);
      REQUIRE(labels.height == kSide);
      for (int64_t y = 0; y < kOut; ++y) {
        for (int64_t x = 0; x < kOut; ++x) {
          const int32_t label = sample.labels.at(y, x);
          const float weight = sample.weights.at(y, x);
          CAPTURE(index, y, x, label, weight);
          REQUIRE(label == labels.at(y + kMargin, x + kMargin));
          REQUIRE(weight == weights.at(y + kMargin, x + kMargin));
          // Only background has a border term: labels and weights speak of the same pixel.
          if (label < 0) REQUIRE(weight == 0);
          if (label > 0) REQUIRE(weight == set.class_weights[static_cast<size_t>(label)]);
          if (label == 0) REQUIRE(weight >= set.class_weights[0]);
          gaps += label == 0 && weight > set.class_weights[0] + 9, ignored += label < 0;
        }
      }
    }
    CHECK(gaps > 200);
    CHECK(ignored > 500);
  }
}

TEST_CASE("where nothing is deformed, a warped and a recomputed weight map agree") {
  TrainingConfig config = still();
  config.weight_map.sigma = 1;  // what lies beyond the tile is too far to count
  config.weight_map.update = WeightMapUpdate::recompute;
  const TrainingSet set = touching_objects(config);
  TrainingConfig warp = config;
  warp.weight_map.update = WeightMapUpdate::warp;
  int inside = 0;
  for (int64_t index = 0; index < 60; ++index) {
    const Placement at = draw_placement(set.training, config, index);
    const double reach = kSide / 2.0;
    if (at.centre_y < reach || at.centre_x < reach || at.centre_y > 200 - reach || at.centre_x > 220 - reach) continue;
    const Sample warped = draw_sample(set.training, warp, index), made = draw_sample(set.training, config, index);
    REQUIRE(made.image.data == warped.image.data);
    REQUIRE(made.labels.data == warped.labels.data);
    REQUIRE(made.weights.data == warped.weights.data);
    ++inside;
  }
  CHECK(inside > 10);
}

TEST_CASE("weight maps cannot be recomputed for pages that were prepared without") {
  TrainingConfig config = still();
  const TrainingSet set = touching_objects(config);
  config.weight_map.update = WeightMapUpdate::recompute;
  CHECK_THROWS_AS(draw_sample(set.training, config, 0), DataError);
}

TEST_CASE("the paper's sample is that of SciPy") {
  // benchmarks/peers/augment_scipy.py (SciPy 1.17.1): random numbers, spline, curve and interpolation written a second
  // time. Positions in float move a sum of many values by less than 1e-6 of it.
  TrainingPage page{.image = Image(512, 512), .classes = LabelMap(512, 512), .weights = Image(512, 512)};
  for (int64_t y = 0; y < 512; ++y) {
    for (int64_t x = 0; x < 512; ++x) {
      const double wave =
          0.5 + 0.25 * std::sin(static_cast<double>(y) / 7) + 0.25 * std::cos(static_cast<double>(x) / 11);
      page.image.at(y, x) = static_cast<float>(wave);
      page.classes.at(y, x) = wave > 0.5 ? 1 : 0;
      page.weights.at(y, x) = static_cast<float>(1 + 10 * wave * wave);
    }
  }
  const Sample sample = draw_sample({page}, TrainingConfig(), 0);
  REQUIRE(sample.image.pixels() == 572 * 572);
  REQUIRE(sample.labels.pixels() == 388 * 388);
  const auto sum = [](const auto& values) { return std::accumulate(values.begin(), values.end(), 0.0); };
  CHECK(sum(sample.image.data) == Approx(161786.704).epsilon(1e-6));
  CHECK(std::abs(sum(sample.labels.data) - 76654) <= 2);  // a pixel on a boundary may fall to either side
  CHECK(sum(sample.weights.data) == Approx(627831.358).epsilon(1e-6));
}

}  // namespace unet
