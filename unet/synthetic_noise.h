// What synthetic pages are made of: smooth random fields, that go on from page to page, and grain.
#pragma once

#include "unet/image.h"
#include "unet/random.h"

namespace unet {

/// Throws ShapeError for sides below 1 px, ConfigError for a negative page.
void check_page(const char* operation, int64_t height, int64_t width, int64_t page);

/// Which numbers a field is made of. Fields of unequal index are independent.
struct FieldKey {
  uint64_t seed;
  Purpose purpose;
  uint32_t index;
};

/// The numbers of one row of a lattice of planes, in order from column 0.
RandomStream lattice_row(const FieldKey& key, int64_t plane, int64_t row);

/// Value noise [height,width,1] in [-1, 1): a lattice of uniform numbers `period_px` apart, with smooth steps between.
/// `depth` counts planes of the lattice: whole numbers give independent fields, with steps as smooth between them.
/// Source: K. Perlin, "An Image Synthesizer", 1985, with values in place of gradients.
Image smooth_noise(int64_t height, int64_t width, const FieldKey& key, double period_px, double depth);

/// Adds grain of mean 0 and standard deviation `deviation`, nearly normal, to every value.
void add_grain(Image& image, float deviation, RandomStream stream);

/// Convolves one channel with the binomial filter [1 2 1] / 4 in both directions; the border mirrors.
void blur(Image& image);

/// Rounds every value to the nearest whole number in 0 .. 255.
void round_to_bytes(Image& image);

/// 3 t^2 - 2 t^3 between 0 (t <= 0) and 1 (t >= 1).
inline float smooth_step(float t) {
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  return t * t * (3 - 2 * t);
}

}  // namespace unet
