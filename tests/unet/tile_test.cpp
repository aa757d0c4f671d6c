#include "unet/tile.h"

#include <algorithm>

#include "tests/catch.h"

namespace unet {
namespace {

using Catch::Contains;

/// The output side, by going through the layers one by one; 0 where a pooling meets an odd side or nothing is left.
int64_t walk(int depth, int64_t side) {
  for (int level = 0; level < depth; ++level) {
    side -= 4;
    if (side <= 0 || side % 2 != 0) return 0;
    side /= 2;
  }
  side -= 4;
  for (int level = 0; level < depth && side > 0; ++level) side = 2 * side - 4;
  return std::max(side, int64_t{0});
}

/// Image whose values tell their place.
Image numbered(int64_t height, int64_t width, int64_t channels = 1) {
  Image image(height, width, channels);
  for (size_t i = 0; i < image.data.size(); ++i) image.data[i] = static_cast<float>(i);
  return image;
}

}  // namespace

TEST_CASE("tile sides are those that the layers let through") {
  for (int depth = 1; depth <= 6; ++depth) {
    const TileRule rule(depth);
    int64_t covering = 0;  // smallest valid side so far from above
    for (int64_t side = 2999; side >= 1; --side) {
      const int64_t output = walk(depth, side);
      CAPTURE(depth, side);
      REQUIRE(rule.is_valid(side) == (output > 0));
      if (output == 0) {
        REQUIRE_THROWS_AS(rule.output(side), ShapeError);
        continue;
      }
      REQUIRE(rule.output(side) == output);
      REQUIRE(rule.input_covering(output) == side);
      if (covering > 0) {
        REQUIRE(rule.input_covering(output + 1) == covering);
        REQUIRE(covering - side == rule.step());
      }
      covering = side;
    }
    REQUIRE(rule.smallest_input() == covering);
  }
}

TEST_CASE("tile sides of the published networks") {
  struct Row {
    int depth;
    int64_t step, residue, loss, smallest_input, smallest_output;
  };
  for (const Row& row : {Row{1, 2, 0, 16, 18, 2}, Row{2, 4, 0, 40, 44, 4}, Row{3, 8, 4, 88, 92, 4},
                         Row{4, 16, 12, 184, 188, 4}, Row{5, 32, 28, 376, 380, 4}}) {
    const TileRule rule(row.depth);
    CHECK(rule.step() == row.step);
    CHECK(rule.smallest_input() % row.step == row.residue);
    CHECK(2 * rule.margin() == row.loss);
    CHECK(rule.smallest_input() == row.smallest_input);
    CHECK(rule.output(row.smallest_input) == row.smallest_output);
  }
  const TileRule paper(4);
  CHECK(paper.output(572) == 388);
  CHECK(paper.output(1500) == 1316);
  CHECK(paper.input_covering(512) == 700);
  CHECK(paper.input_covering(520) == 716);
  CHECK(paper.input_covering(696) == 892);
  CHECK(paper.skip_crop(3) == 4);
  CHECK(paper.skip_crop(2) == 16);
  CHECK(paper.skip_crop(1) == 40);
  CHECK(paper.skip_crop(0) == 88);
  CHECK_THROWS_AS(paper.skip_crop(4), ShapeError);
  CHECK_THROWS_AS(TileRule(0), ConfigError);
  CHECK_THROWS_AS(TileRule(7), ConfigError);
}

TEST_CASE("an invalid tile side names its neighbours") {
  CHECK_THROWS_WITH(TileRule(4).output(573), Contains("573") && Contains("572 (output 388)") &&
                                                 Contains("588 (output 404)") && Contains("depth 4"));
  CHECK_THROWS_WITH(TileRule(4).output(571), Contains("556 (output 372)") && Contains("572 (output 388)"));
  CHECK_THROWS_WITH(TileRule(4).output(100), Contains("smallest") && Contains("188 (output 4)"));
  CHECK_THROWS_WITH(TileRule(1).output(-4), Contains("18 (output 2)"));
}

TEST_CASE("a tile's work is that of the published network") {
  // 150.4 and 246.6 GMAC of the network with 64 channels; the first and the last layer are 0.1 % of it.
  CHECK(TileRule(4).work({572, 572}) * 64 * 64 == Approx(150.4e9).epsilon(0.002));
  CHECK(TileRule(4).work({700, 700}) * 64 * 64 == Approx(246.6e9).epsilon(0.002));
}

TEST_CASE("a tile plan decides every pixel once, inside of the tile's output") {
  for (const TileStride stride : {TileStride::phase, TileStride::release}) {
    for (int depth = 1; depth <= 4; ++depth) {
      const TileRule rule(depth);
      for (const Size image : {Size{1, 1}, Size{7, 150}, Size{97, 33}, Size{160, 161}}) {
        for (const int64_t side :
             {rule.input_covering(rule.step()), rule.input_covering(60), rule.input_covering(200)}) {
          const Size tile{side, rule.input_covering(50)};
          const TilePlan plan = plan_tiles(rule, image, tile, stride);
          CHECK(plan.input == tile);
          CHECK(plan.output == Size{rule.output(tile.height), rule.output(tile.width)});
          Grid<int> decided(image.height, image.width);
          for (const auto& [input, keep] : plan.tiles) {
            REQUIRE(input.height == tile.height);
            REQUIRE(input.width == tile.width);
            const int64_t y0 = input.y + plan.margin, x0 = input.x + plan.margin;  // of the output
            REQUIRE(keep.height > 0);
            REQUIRE(keep.width > 0);
            REQUIRE(keep.y >= y0);
            REQUIRE(keep.x >= x0);
            REQUIRE(keep.y + keep.height <= std::min(y0 + plan.output.height, image.height));
            REQUIRE(keep.x + keep.width <= std::min(x0 + plan.output.width, image.width));
            const int64_t grid = stride == TileStride::phase ? rule.step() : 1;
            REQUIRE(y0 % grid == 0);
            REQUIRE(x0 % grid == 0);
            for (int64_t y = keep.y; y < keep.y + keep.height; ++y) {
              for (int64_t x = keep.x; x < keep.x + keep.width; ++x) ++decided.at(y, x);
            }
          }
          REQUIRE(std::all_of(decided.data.begin(), decided.data.end(), [](int count) { return count == 1; }));
        }
      }
    }
  }
}

TEST_CASE("neighbouring tiles of the paper's size overlap by four pixels, and the first keeps them") {
  const TilePlan plan = plan_tiles(TileRule(4), {388, 800}, {572, 572});
  REQUIRE(plan.tiles.size() == 3);
  CHECK(plan.tiles[0].input == Rect{-92, -92, 572, 572});
  CHECK(plan.tiles[1].input == Rect{-92, 384 - 92, 572, 572});
  CHECK(plan.tiles[0].keep == Rect{0, 0, 388, 388});
  CHECK(plan.tiles[1].keep == Rect{0, 388, 388, 384});
  CHECK(plan.tiles[2].keep == Rect{0, 772, 388, 28});
  const TilePlan release = plan_tiles(TileRule(4), {520, 696}, {444, 892}, TileStride::release);
  REQUIRE(release.tiles.size() == 2);  // as the authors' release ran the U373 images
  CHECK(release.tiles[1].keep == Rect{260, 0, 260, 696});
}

TEST_CASE("the chosen tile needs the least work of all within the limit") {
  for (const TileStride stride : {TileStride::phase, TileStride::release}) {
    const TileRule rule(2);
    for (const Size image : {Size{40, 40}, Size{90, 61}, Size{33, 150}}) {
      for (const int64_t limit : {int64_t{48 * 48}, int64_t{5000}, int64_t{8000}, int64_t{1} << 40}) {
        const Size chosen = choose_tile(rule, image, limit, stride);
        REQUIRE(chosen.pixels() <= limit);
        const auto total = [&](Size tile) {
          return rule.work(tile) * static_cast<double>(plan_tiles(rule, image, tile, stride).tiles.size());
        };
        for (int64_t h = 48; h < 220; h += 4) {
          for (int64_t w = 48; w < 220; w += 4) {
            if (h * w <= limit) REQUIRE(total(chosen) <= total({h, w}));
          }
        }
      }
    }
  }
  CHECK(choose_tile(TileRule(4), {512, 512}, 1 << 20) == Size{700, 700});
  CHECK(choose_tile(TileRule(4), {520, 696}, 1 << 20) == Size{716, 892});
  CHECK_THROWS_WITH(choose_tile(TileRule(4), {512, 512}, 1000), Contains("204x204") && Contains("1000"));
  CHECK_THROWS_AS(choose_tile(TileRule(4), {0, 512}, 1 << 20), ShapeError);
  CHECK_THROWS_AS(plan_tiles(TileRule(4), {512, 512}, {573, 572}), ShapeError);
  CHECK_THROWS_WITH(plan_tiles(TileRule(4), {512, 512}, {188, 572}), Contains("188x572") && Contains("204"));
}

TEST_CASE("mirroring repeats the image without its edge") {
  const int64_t expected[] = {2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1};  // of -4 .. 7, four pixels
  for (int64_t i = -4; i < 8; ++i) CHECK(mirror(i, 4) == expected[i + 4]);
  for (const int64_t n : {1, 2, 3, 10}) {
    for (int64_t i = -50; i < 50; ++i) {
      int64_t walked = i;  // reflect until inside
      while (n > 1 && (walked < 0 || walked >= n)) walked = walked < 0 ? -walked : 2 * (n - 1) - walked;
      REQUIRE(mirror(i, n) == (n == 1 ? 0 : walked));
    }
  }
}

TEST_CASE("a tile continues the image by mirroring and reads no more than it needs") {
  const Image image = numbered(23, 31, 2);
  for (const Rect& window : {Rect{0, 0, 23, 31}, Rect{-9, 4, 20, 20}, Rect{3, -40, 5, 100}, Rect{20, 28, 60, 70},
                             Rect{5, 6, 7, 8}, Rect{-100, -100, 10, 10}}) {
    Rect asked;
    const auto read = [&](const Rect& part) {
      asked = part;
      Image copy(part.height, part.width, 2);
      for (int64_t y = 0; y < part.height; ++y) {
        for (int64_t x = 0; x < part.width; ++x) {
          for (int64_t c = 0; c < 2; ++c) copy.at(y, x, c) = image.at(part.y + y, part.x + x, c);
        }
      }
      return copy;
    };
    const Image tile = extract_tile(read, {23, 31}, window);
    REQUIRE(tile.data == extract_tile(image, window).data);
    int64_t top = 23, bottom = 0, left = 31, right = 0;
    for (int64_t y = 0; y < window.height; ++y) {
      for (int64_t x = 0; x < window.width; ++x) {
        const int64_t from_y = mirror(window.y + y, 23), from_x = mirror(window.x + x, 31);
        for (int64_t c = 0; c < 2; ++c) REQUIRE(tile.at(y, x, c) == image.at(from_y, from_x, c));
        top = std::min(top, from_y), bottom = std::max(bottom, from_y);
        left = std::min(left, from_x), right = std::max(right, from_x);
      }
    }
    CHECK(asked == Rect{top, left, bottom - top + 1, right - left + 1});
  }
  CHECK_THROWS_AS(extract_tile(Image(), {0, 0, 4, 4}), ShapeError);
}

}  // namespace unet
