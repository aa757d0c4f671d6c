// Host images: rows of pixels of interleaved channels. What files are read into and augmentation works on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/error.h"

namespace unet {

/// Owned [height,width,channels] array, row-major, channels interleaved.
template <class T>
struct Grid {
  int64_t height = 0, width = 0, channels = 1;  // px, px, count
  std::vector<T> data;                          // [height*width*channels]

  Grid() = default;
  Grid(int64_t height_px, int64_t width_px, int64_t channel_count = 1, T value = T())
      : height(height_px),
        width(width_px),
        channels(channel_count),
        data(static_cast<size_t>(height_px * width_px * channel_count), value) {}

  T& at(int64_t y, int64_t x, int64_t c = 0) { return data[static_cast<size_t>((y * width + x) * channels + c)]; }
  const T& at(int64_t y, int64_t x, int64_t c = 0) const {
    return data[static_cast<size_t>((y * width + x) * channels + c)];
  }
  int64_t pixels() const { return height * width; }
  std::string shape_text() const { return concat("[", height, ",", width, ",", channels, "]"); }
};

using Image = Grid<float>;       // gray values; file values are scaled by the reader's caller, never silently
using LabelMap = Grid<int32_t>;  // class numbers or instance ids; -1 = ignore

/// Mirror index without repeating the edge ("reflect-101"): ..., 2, 1, 0, 1, 2, ..., n-2, n-1, n-2, ...
/// Any i; n == 1 gives 0. Source: Ronneberger et al. 2015, section 2 (mirroring); the authors' release.
inline int64_t mirror(int64_t i, int64_t n) {
  if (n == 1) return 0;
  const int64_t period = 2 * n - 2;
  i = (i < 0 ? -i : i) % period;
  return i < n ? i : period - i;
}

}  // namespace unet
