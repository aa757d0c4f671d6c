// Where Winograd tiles lie in blocked images. Included by the cpu target's Winograd files only.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/cpu/winograd_transform.h"
#include "kernels/view.h"

namespace unet::kernels::winograd {

/// Sixteen channels of all images: offset(n,h,w) = n*stride_n + h*stride_h + w*16. Null data: nobody wants them.
template <class T>
struct Plane {
  T* data;
  int64_t h, w, stride_n, stride_h;
  T* at(int64_t in, int64_t ih, int64_t iw) const { return data + in * stride_n + ih * stride_h + iw * kLanes; }
};

/// The channels of one or two blocked views, side by side. `first` has whole blocks where there is a second.
template <class T>
struct Channels {
  View<T> first, second;
  int64_t first_channels;  // also where `first` is absent

  int64_t count() const { return first_channels + second.c; }
  int64_t blocks() const { return ceil_div(count(), kLanes); }
  const View<T>& any() const { return first ? first : second; }

  Plane<T> plane(int64_t block) const {
    const int64_t first_blocks = ceil_div(first_channels, kLanes);
    const View<T>& v = block < first_blocks ? first : second;
    const int64_t own_block = block < first_blocks ? block : block - first_blocks;
    return {v ? v.data + own_block * v.stride_block : nullptr, v.h, v.w, v.stride_n, v.stride_h};
  }
};

/// First output of a tile.
struct TilePosition {
  int64_t n, h, w;
};

/// The tiles of 4x4 outputs of a batch, numbered row by row.
struct TileGrid {
  int64_t n, rows, columns;
  TileGrid(int64_t images, int64_t h, int64_t w) : n(images), rows(ceil_div(h, kTile)), columns(ceil_div(w, kTile)) {}
  int64_t count() const { return n * rows * columns; }
  TilePosition position(int64_t tile) const {
    return {tile / columns / rows, tile / columns % rows * kTile, tile % columns * kTile};
  }
};

/// Side x Side pixels at (n, h, w), which may reach over the plane's edges: in place, or copied between zeros.
template <int Side>
class Window {
 public:
  Window(const Plane<const float>& plane, int64_t n, int64_t h, int64_t w)
      : data(plane.at(n, h, w)), row_stride(plane.stride_h) {
    if (h >= 0 && w >= 0 && h + Side <= plane.h && w + Side <= plane.w) return;
    std::memset(copy_, 0, sizeof copy_);
    const int64_t left = std::max<int64_t>(w, 0), right = std::min(w + Side, plane.w);
    for (int64_t row = std::max<int64_t>(h, 0); row < std::min(h + Side, plane.h); ++row) {
      std::memcpy(copy_[row - h][left - w], plane.at(n, row, left), static_cast<size_t>((right - left) * kLanes) * 4);
    }
    data = copy_[0][0], row_stride = Side * kLanes;
  }
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  const float* data;
  int64_t row_stride;

 private:
  alignas(64) float copy_[Side][Side][kLanes];
};

}  // namespace unet::kernels::winograd
