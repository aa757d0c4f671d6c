// Host images: rows of pixels of interleaved channels. What files are read into and augmentation works on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/error.h"
#include "kernels/mirror.h"

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

}  // namespace unet
