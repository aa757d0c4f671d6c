#include "unet/synthetic_noise.h"

#include <algorithm>
#include <cmath>

namespace unet {
namespace {

float mix(float a, float b, float share) { return a + (b - a) * share; }

/// Where a coordinate lies on the lattice: between `index` and the next one.
struct LatticePosition {
  int64_t index;
  float share;  // of the next one
};

LatticePosition lattice_position(double coordinate) {
  const double below = std::floor(coordinate);
  return {static_cast<int64_t>(below), smooth_step(static_cast<float>(coordinate - below))};
}

}  // namespace

void check_page(const char* operation, int64_t height, int64_t width, int64_t page) {
  if (height < 1 || width < 1) {
    throw ShapeError(concat(operation, ": expected sides of 1 px or more, got [", height, ",", width, "]"));
  }
  if (page < 0) throw ConfigError(concat(operation, ": expected a page of 0 or more, got ", page));
}

RandomStream lattice_row(const FieldKey& key, int64_t plane, int64_t row) {
  RandomStream names(key.seed, key.purpose, key.index);
  const uint64_t high = names.word(), low = names.word();
  return {high << 32 | low, key.purpose, static_cast<uint32_t>(plane * 65536 + row)};
}

Image smooth_noise(int64_t height, int64_t width, const FieldKey& key, double period_px, double depth) {
  const auto [plane, plane_share] = lattice_position(depth);
  Image lattice(static_cast<int64_t>(static_cast<double>(height) / period_px) + 2,
                static_cast<int64_t>(static_cast<double>(width) / period_px) + 2);
  for (int64_t row = 0; row < lattice.height; ++row) {
    RandomStream front = lattice_row(key, plane, row), back = lattice_row(key, plane + 1, row);
    for (int64_t column = 0; column < lattice.width; ++column) {
      const auto a = static_cast<float>(front.uniform(-1, 1)), b = static_cast<float>(back.uniform(-1, 1));
      lattice.at(row, column) = mix(a, b, plane_share);
    }
  }

  std::vector<LatticePosition> columns;  // [width]
  for (int64_t x = 0; x < width; ++x) columns.push_back(lattice_position(static_cast<double>(x) / period_px));
  Image noise(height, width);
  std::vector<float> line(static_cast<size_t>(lattice.width));  // the lattice at height y
  for (int64_t y = 0; y < height; ++y) {
    const auto [row, share] = lattice_position(static_cast<double>(y) / period_px);
    for (int64_t column = 0; column < lattice.width; ++column) {
      line[static_cast<size_t>(column)] = mix(lattice.at(row, column), lattice.at(row + 1, column), share);
    }
    for (int64_t x = 0; x < width; ++x) {
      const auto& position = columns[static_cast<size_t>(x)];
      const float* values = &line[static_cast<size_t>(position.index)];
      noise.at(y, x) = mix(values[0], values[1], position.share);
    }
  }
  return noise;
}

void add_grain(Image& image, float deviation, RandomStream stream) {
  // The sum of a word's four bytes: mean 4 * 127.5, variance 4 * (256^2 - 1) / 12.
  const float scale = deviation / std::sqrt(65535.0F / 3);
  for (float& value : image.data) {
    const uint32_t word = stream.word();
    const uint32_t sum = (word & 255) + (word >> 8 & 255) + (word >> 16 & 255) + (word >> 24);
    value += scale * (static_cast<float>(sum) - 510);
  }
}

void round_to_bytes(Image& image) {
  for (float& value : image.data) value = std::round(std::clamp(value, 0.0F, 255.0F));
}

void blur(Image& image) {
  const auto filter = [](float before, float here, float after) { return 0.25F * (before + after) + 0.5F * here; };
  Image rows(image.height, image.width);
  for (int64_t y = 0; y < image.height; ++y) {
    const int64_t above = mirror(y - 1, image.height), below = mirror(y + 1, image.height);
    for (int64_t x = 0; x < image.width; ++x)
      rows.at(y, x) = filter(image.at(above, x), image.at(y, x), image.at(below, x));
  }
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      image.at(y, x) =
          filter(rows.at(y, mirror(x - 1, image.width)), rows.at(y, x), rows.at(y, mirror(x + 1, image.width)));
    }
  }
}

}  // namespace unet
