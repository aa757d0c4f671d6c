// A convolution as its kernels see it. Four products of the network are one:
//
//   out[n,p,q,j] = act( b[j] + sum_{r,s,c} cat(x,x2)[n, stride*p+r-pad_h, stride*q+s-pad_w, c] * filter(j,r,s,c) )
//
//                                    x      taps  stride  pad      columns j
//   Conv2d                           x, x2  R,S   1       0        k
//   Conv2dBackward, dx and dx2       g      R,S   1       R-1,S-1  c of dx, then c of dx2; filter flipped
//   ConvTranspose2d                  x      1,1   1       0        (a,d,k): channel k of the pixel (2p+a, 2q+d)
//   ConvTranspose2dBackward, dx      g      2,2   2       0        c
#pragma once

#include <algorithm>

#include "kernels/cuda/device.cuh"

namespace unet::kernels::gpu {

/// Where the factors of column j lie in a filter w: at w[(j / period) * period_stride + (j % period) * column_stride +
/// (r * taps_w + s) * tap_stride + c * channel_stride]. Channels of x2 follow those of x.
struct FilterOrder {
  const float* w = nullptr;  // first factor: a flipped filter starts at its last tap
  int64_t period = 1, period_stride = 0, column_stride = 0, tap_stride = 0, channel_stride = 0;

  /// Offset of the factors of column j.
  UNET_HOST_DEVICE int64_t column(int j) const {
    if (j < period) return j * column_stride;  // no division, as for all columns but those of ConvTranspose2d
    return j / period * period_stride + j % period * column_stride;
  }

  bool operator==(const FilterOrder&) const = default;
};

/// Columns [begin, begin + out.c) are the channels of `out`; its pixels are those of the product.
template <class T, class O>
struct ColumnRange {
  int begin = 0;
  View<O> out;           // [N,P,Q,C]; without data where only pooled is wanted
  View<const T> x = {};  // [N,P,Q,C]: out is multiplied by [x > 0]; or empty
};

/// O is T or float. Views are channels last.
template <class T, class O>
struct Convolution {
  static constexpr int kMaxRanges = 4;

  View<const T> x;   // [N,H,W,C1]
  View<const T> x2;  // [N,H,W,C2], or empty
  int taps_h = 1, taps_w = 1, stride = 1, pad_h = 0, pad_w = 0;
  FilterOrder filter;
  const float* b = nullptr;  // column j has b[j % filter.period]; null: none
  bool relu = false;
  int columns = 0, ranges = 1;
  ColumnRange<T, O> range[kMaxRanges];  // in the order of their columns, without gaps
  View<O> pooled;                       // [N,P/2,Q/2,columns]: 2x2 maxima of range[0].out, see MaxPool2d; or empty
  View<uint8_t> pool_code;              // [N,P/2,Q/2,columns], or empty
  FilterCache* cache = nullptr;         // keeps the packed filter

  UNET_HOST_DEVICE float bias(int j) const {
    if (b == nullptr || j >= columns) return 0;
    return b[j < filter.period ? j : j % filter.period];
  }
  UNET_HOST_DEVICE int64_t n() const { return range[0].out.n; }
  UNET_HOST_DEVICE int64_t height() const { return range[0].out.h; }  // P
  UNET_HOST_DEVICE int64_t width() const { return range[0].out.w; }   // Q
};

/// Throws ShapeError where sizes exceed 2^28: kernels count rows, columns and channels in int.
template <class... Ts>
void require_countable(const char* op, const View<Ts>&... views) {
  const auto require = [&](const auto& v) {
    if (std::max({v.n, v.h, v.w, v.c}) <= int64_t{1} << 28) return;
    throw ShapeError(concat(op, ": expected sizes up to 2^28 on a device, got ", v.shape_text()));
  };
  (require(views), ...);
}

/// Computes it by the kernel that suits shape and device: the one place of that choice. Products of f32 are exact, or
/// of factors rounded to tf32 where the context says so. With ConvolutionMode::direct an output depends on nothing but
/// its inputs. Throws OutOfMemory, DeviceError.
template <class T, class O>
void convolve(const Context& context, const Convolution<T, O>& convolution);

}  // namespace unet::kernels::gpu
