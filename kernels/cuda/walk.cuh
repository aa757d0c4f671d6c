// How kernels find the elements of channels-last views, crops included. Plain C++ without device code, so that host
// tests can prove the arithmetic beyond 2^31 elements.
#pragma once

#include "kernels/view.h"

namespace unet::kernels::gpu {

/// Division of numbers from 0 by one that all threads share: a multiplication and a correction.
class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(int64_t value)
      : value_(static_cast<uint64_t>(value)), reciprocal_(~uint64_t{0} / static_cast<uint64_t>(value)) {}

  /// dividend = quotient * value + rest; returns the quotient. As reciprocal >= 2^64 / value - 1, the estimate
  /// dividend * reciprocal / 2^64 is above dividend / value - 1: the quotient or one less.
  UNET_HOST_DEVICE int64_t divide(int64_t dividend, int64_t& rest) const {
    const auto n = static_cast<uint64_t>(dividend);
    auto quotient = static_cast<uint64_t>(static_cast<unsigned __int128>(n) * reciprocal_ >> 64);
    uint64_t left = n - quotient * value_;
    if (left >= value_) ++quotient, left -= value_;
    rest = static_cast<int64_t>(left);
    return static_cast<int64_t>(quotient);
  }

 private:
  uint64_t value_ = 1, reciprocal_ = ~uint64_t{0};
};

inline constexpr int kAxes = 4;

/// Place on a walk: one coordinate an axis, the fastest first.
struct Place {
  int64_t at[kAxes];
};

/// A view as a walk sees it.
template <class T>
struct Walked {
  T* data = nullptr;
  int64_t strides[kAxes] = {};  // in elements, along the axes of the walk

  UNET_HOST_DEVICE explicit operator bool() const { return data != nullptr; }
  UNET_HOST_DEVICE int64_t offset(const Place& place) const {
    int64_t sum = 0;
    for (int axis = 0; axis < kAxes; ++axis) sum += place.at[axis] * strides[axis];
    return sum;
  }
  UNET_HOST_DEVICE T* operator()(const Place& place) const { return data + offset(place); }
};

/// An order of all groups of `width` neighbouring channels of the images [N,H,W,G*width]: channels first, then columns,
/// rows and images, which is the logical NHWC order. Two axes are one wherever no view has a gap between them, so that
/// dense views take no division at all.
class Walk {
 public:
  template <class... Ts>
  Walk(int64_t n, int64_t h, int64_t w, int64_t groups, int64_t width, const View<Ts>&... views)
      : count_(n * h * w * groups), width_(width) {
    const int64_t sizes[kAxes]{groups, w, h, n};
    for (int axis = 0; axis < kAxes; ++axis) {
      if (sizes[axis] == 1) continue;
      const bool is_gapless =
          axes_ > 0 && ((!views || stride(views, axis) == size_[axes_ - 1] * stride(views, source_[axes_ - 1])) && ...);
      if (is_gapless) {
        size_[axes_ - 1] *= sizes[axis];
      } else {
        size_[axes_] = sizes[axis], source_[axes_] = axis, ++axes_;
      }
    }
    for (int axis = 0; axis < axes_; ++axis) divisor_[axis] = Divisor(size_[axis]);
  }

  /// The same with the sizes of the first view.
  template <class T, class... Ts>
  static Walk over(int64_t width, const View<T>& first, const View<Ts>&... others) {
    return {first.n, first.h, first.w, first.c / width, width, first, others...};
  }
  /// All pixels, whatever channels the views have.
  template <class T, class... Ts>
  static Walk over_pixels(const View<T>& first, const View<Ts>&... others) {
    return {first.n, first.h, first.w, 1, 1, first, others...};
  }

  UNET_HOST_DEVICE int64_t count() const { return count_; }

  template <class T>
  Walked<T> operator()(const View<T>& view) const {
    Walked<T> walked{.data = view.data};
    for (int axis = 0; axis < axes_; ++axis) walked.strides[axis] = stride(view, source_[axis]);
    return walked;
  }

  /// The place of group `index`, 0 <= index < count().
  UNET_HOST_DEVICE Place place(int64_t index) const {
    Place result;
    for (int axis = 0; axis < kAxes; ++axis) {  // no early end: unrolled, with the coordinates in registers
      if (axis + 1 < axes_) {
        index = divisor_[axis].divide(index, result.at[axis]);
      } else {
        result.at[axis] = index, index = 0;
      }
    }
    return result;
  }

 private:
  template <class T>
  int64_t stride(const View<T>& v, int axis) const {
    const int64_t strides[kAxes]{width_, v.stride_w, v.stride_h, v.stride_n};
    return strides[axis];
  }

  int64_t count_ = 0, width_ = 1;
  int axes_ = 0;
  Divisor divisor_[kAxes];
  int64_t size_[kAxes] = {};
  int source_[kAxes] = {};  // the axis of the views whose stride it has: 0 groups, 1 columns, 2 rows, 3 images
};

}  // namespace unet::kernels::gpu
