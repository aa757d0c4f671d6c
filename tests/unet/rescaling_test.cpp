#include "unet/rescaling.h"

#include <cmath>

#include "tests/catch.h"

namespace unet {
namespace {

Image pattern(int64_t height, int64_t width, int64_t channels) {
  Image image(height, width, channels);
  for (size_t i = 0; i < image.data.size(); ++i) image.data[i] = static_cast<float>((i * 2654435761U >> 7) % 251);
  return image;
}

/// Weight of every source pixel by the definition, over all of them.
double sample(const Image& image, Size to, int64_t y, int64_t x, int64_t c) {
  const auto weight = [](int64_t k, int64_t from, int64_t size, int64_t i) {
    const double ratio = static_cast<double>(from) / static_cast<double>(size);
    const double distance = std::abs((static_cast<double>(k) + 0.5) - (static_cast<double>(i) + 0.5) * ratio);
    return std::max(0.0, 1 - distance / std::max(1.0, ratio));
  };
  double sum = 0, weights = 0;
  for (int64_t sy = 0; sy < image.height; ++sy) {
    for (int64_t sx = 0; sx < image.width; ++sx) {
      const double w = weight(sy, image.height, to.height, y) * weight(sx, image.width, to.width, x);
      sum += w * static_cast<double>(image.at(sy, sx, c));
      weights += w;
    }
  }
  return sum / weights;
}

ReadWindow reader_of(const Image& image) {
  return [&image](const Rect& r) {
    Image out(r.height, r.width, image.channels);
    for (int64_t y = 0; y < r.height; ++y) {
      std::copy_n(&image.at(r.y + y, r.x), r.width * image.channels, &out.at(y, 0));
    }
    return out;
  };
}

const std::vector<std::pair<Size, Size>> kCases{{{7, 9}, {14, 18}}, {{14, 18}, {7, 9}},  {{10, 11}, {3, 29}},
                                                {{1, 1}, {4, 5}},   {{20, 17}, {1, 1}},  {{13, 8}, {13, 20}},
                                                {{5, 6}, {6, 5}},   {{16, 16}, {16, 16}}};

}  // namespace

TEST_CASE("rescaling: windows hold what the definition says, whatever the window") {
  for (const auto& [from, to] : kCases) {
    CAPTURE(from.height, from.width, to.height, to.width);
    const Image image = pattern(from.height, from.width, 2);
    const ReadWindow read = rescaled(reader_of(image), from, to);
    const Image whole = read({0, 0, to.height, to.width});
    for (int64_t y = 0; y < to.height; ++y) {
      for (int64_t x = 0; x < to.width; ++x) {
        for (int64_t c = 0; c < 2; ++c)
          REQUIRE(double{whole.at(y, x, c)} == Approx(sample(image, to, y, x, c)).margin(1e-3));
        const Image one = read({y, x, 1, 1});
        REQUIRE(one.at(0, 0, 1) == whole.at(y, x, 1));
      }
    }
  }
}

TEST_CASE("rescaling: bands of any height come back as the windows do, in order and complete") {
  for (const auto& [from, to] : kCases) {
    for (const int64_t rows : {int64_t{1}, int64_t{3}, from.height}) {
      const Image image = pattern(from.height, from.width, 2);
      const Image expected = rescaled(reader_of(image), from, to)({0, 0, to.height, to.width});
      Image got(to.height, to.width, 2);
      int64_t next = 0;
      const WriteBand write = rescaled(
          [&](int64_t top, const Image& band) {
            REQUIRE(top == next);
            next += band.height;
            std::copy(band.data.begin(), band.data.end(), &got.at(top, 0));
          },
          from, to);
      for (int64_t top = 0; top < from.height; top += rows) {
        const int64_t height = std::min(rows, from.height - top);
        write(top, reader_of(image)({top, 0, height, from.width}));
      }
      CHECK(next == to.height);
      for (size_t i = 0; i < got.data.size(); ++i) REQUIRE(got.data[i] == Approx(expected.data[i]).margin(1e-4));
    }
  }
}

TEST_CASE("rescaling: whole images as windows of them, labels of the nearest pixels") {
  for (const auto& [from, to] : kCases) {
    const Image image = pattern(from.height, from.width, 2);
    CHECK(rescaled(image, to).data == rescaled(reader_of(image), from, to)({0, 0, to.height, to.width}).data);
  }
  LabelMap labels(2, 4);
  labels.data = {1, 2, 3, -1, 5, 6, 7, 8};
  CHECK(rescaled(labels, {1, 2}).data == std::vector<int32_t>{6, 8});
  CHECK(rescaled(labels, {2, 3}).data == std::vector<int32_t>{1, 3, -1, 5, 7, 8});
  CHECK(rescaled(labels, {3, 8}).data ==
        std::vector<int32_t>{1, 1, 2, 2, 3, 3, -1, -1, 5, 5, 6, 6, 7, 7, 8, 8, 5, 5, 6, 6, 7, 7, 8, 8});
}

TEST_CASE("rescaling: golden rows and sizes") {
  Image image(1, 2);
  image.data = {0, 8};
  CHECK(rescaled(reader_of(image), {1, 2}, {1, 4})({0, 0, 1, 4}).data == std::vector<float>{0, 2, 6, 8});
  Image fine(1, 4);
  fine.data = {7, 7, 0, 7};
  CHECK(rescaled(reader_of(fine), {1, 4}, {1, 2})({0, 0, 1, 2}).data == std::vector<float>{6, 4});
  CHECK(rescaled_size({10, 11}, 0.5, 2) == Size{5, 22});
  CHECK(rescaled_size({10, 11}, 0.01, 0.01) == Size{1, 1});
  for (const double bad : {0.0, -1.0, 0.009, 101.0, std::nan("")}) {
    CHECK_THROWS_AS(rescaled_size({10, 10}, 1, bad), ConfigError);
  }
}

}  // namespace unet
