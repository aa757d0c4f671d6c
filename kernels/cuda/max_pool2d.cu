#include "kernels/max_pool2d.h"

#include "kernels/cuda/elementwise.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

/// The upper left pixels of the 2x2 windows.
template <class T>
View<T> upper_left(View<T> v) {
  v.h /= 2, v.w /= 2;
  v.stride_h *= 2, v.stride_w *= 2;
  return v;
}

/// A thread takes kWidth channels of a window: four loads, one store of maxima and one of codes. Bound: memory.
template <class T, int kWidth>
struct PoolWindow {
  Walk walk;
  Walked<const T> x;     // upper left pixels
  int64_t right, below;  // elements from pixel to pixel
  Walked<T> y;
  Walked<uint8_t> code;  // or empty

  __device__ __forceinline__ void operator()(int64_t i) const {
    const Place place = walk.place(i);
    const T* pixel = x(place);
    const Vector<T, kWidth> window[4]{load_vector<kWidth>(pixel), load_vector<kWidth>(pixel + right),
                                      load_vector<kWidth>(pixel + below), load_vector<kWidth>(pixel + below + right)};
    Vector<T, kWidth> best = window[0];
    Vector<uint8_t, kWidth> best_code{};
#pragma unroll
    for (int k = 1; k < 4; ++k) {
#pragma unroll
      for (int c = 0; c < kWidth; ++c) {
        const float champion = best.values[c], challenger = window[k].values[c];
        if (champion != champion || challenger <= champion) continue;  // the first NaN wins, then the first maximum
        best.values[c] = window[k].values[c];
        best_code.values[c] = static_cast<uint8_t>(k);
      }
    }
    store_vector(y(place), best);
    if (code) store_vector(code(place), best_code);
  }
};

/// A view as the backward pass addresses it: by coordinates, for windows at the edges are cut.
template <class T>
struct Pixels {
  T* data;
  int64_t h, w, stride_n, stride_h, stride_w;

  explicit Pixels(const View<T>& v)
      : data(v.data), h(v.h), w(v.w), stride_n(v.stride_n), stride_h(v.stride_h), stride_w(v.stride_w) {}

  __device__ __forceinline__ bool has(int64_t row, int64_t column) const {
    return row >= 0 && row < h && column >= 0 && column < w;
  }
  __device__ __forceinline__ T* at(int64_t n, int64_t row, int64_t column) const {
    return data + (n * stride_n + row * stride_h + column * stride_w);
  }
};

/// A thread takes kWidth channels of a window of dx, cut where the size is odd. All it reads is read before it writes.
/// Bound: memory; per pixel of dx a quarter of dy and code, one store, and one load each of skip and relu_y.
template <class T, int kWidth>
struct SpreadWindow {
  Divisor groups, columns, rows;  // channel groups of a pixel, windows of a row, rows of windows of an image
  Pixels<const uint8_t> code;
  Pixels<const T> dy;
  Pixels<T> dx;
  Pixels<const T> skip;  // or empty
  int64_t skip_top, skip_left;
  Pixels<const T> relu_y;  // or empty

  __device__ __forceinline__ void operator()(int64_t index) const {
    int64_t group, i, j;
    const int64_t n = rows.divide(columns.divide(groups.divide(index, group), j), i), c = group * kWidth;

    Vector<T, kWidth> out[4];
    Vector<T, kWidth> gradient;
    Vector<uint8_t, kWidth> codes;
    const bool is_pooled = dy.has(i, j);
    if (is_pooled) {
      gradient = load_vector<kWidth>(dy.at(n, i, j) + c);
      codes = load_vector<kWidth>(code.at(n, i, j) + c);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int64_t row = 2 * i + k / 2, column = 2 * j + k % 2;
#pragma unroll
      for (int e = 0; e < kWidth; ++e) {
        out[k].values[e] = is_pooled && codes.values[e] == k ? gradient.values[e] : T(0.0F);
      }
      if (skip.data != nullptr && skip.has(row - skip_top, column - skip_left)) {
        const auto more = load_vector<kWidth>(skip.at(n, row - skip_top, column - skip_left) + c);
#pragma unroll
        for (int e = 0; e < kWidth; ++e) out[k].values[e] = out[k].values[e] + more.values[e];
      }
      if (relu_y.data != nullptr && relu_y.has(row, column)) {
        const auto y = load_vector<kWidth>(relu_y.at(n, row, column) + c);
#pragma unroll
        for (int e = 0; e < kWidth; ++e) out[k].values[e] = y.values[e] > 0 ? out[k].values[e] : T(0.0F);
      }
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int64_t row = 2 * i + k / 2, column = 2 * j + k % 2;
      if (dx.has(row, column)) store_vector(dx.at(n, row, column) + c, out[k]);
    }
  }
};

}  // namespace
}  // namespace gpu

template <class T>
void execute(DeviceTarget, const Context& context, const MaxPool2d<T>& op) {
  gpu::require_channels_last(MaxPool2d<T>::kName, op.x, op.y, op.code);
  gpu::with_width<gpu::kVectorLength<T>>(
      [&](auto width) {
        const View<const T> x = gpu::upper_left(op.x);
        const auto walk = gpu::Walk::over(width, op.y, op.code, x);
        gpu::for_each(context, walk.count(),
                      gpu::PoolWindow<T, width>{.walk = walk,
                                                .x = walk(x),
                                                .right = op.x.stride_w,
                                                .below = op.x.stride_h,
                                                .y = walk(op.y),
                                                .code = walk(op.code)});
      },
      op.x, op.y, op.code);
}

template <class T>
void execute(DeviceTarget, const Context& context, const MaxPool2dBackward<T>& op) {
  gpu::require_channels_last(MaxPool2dBackward<T>::kName, op.code, op.dy, op.dx, op.skip, op.relu_y);
  gpu::with_width<gpu::kVectorLength<T>>(
      [&](auto width) {
        using gpu::Divisor;
        using gpu::Pixels;
        const int64_t groups = op.dx.c / width, columns = ceil_div(op.dx.w, 2), rows = ceil_div(op.dx.h, 2);
        gpu::for_each(context, op.dx.n * rows * columns * groups,
                      gpu::SpreadWindow<T, width>{.groups = Divisor(groups),
                                                  .columns = Divisor(columns),
                                                  .rows = Divisor(rows),
                                                  .code = Pixels(op.code),
                                                  .dy = Pixels(op.dy),
                                                  .dx = Pixels(op.dx),
                                                  .skip = Pixels(op.skip),
                                                  .skip_top = op.skip_top,
                                                  .skip_left = op.skip_left,
                                                  .relu_y = Pixels(op.relu_y)});
      },
      op.code, op.dy, op.dx, op.skip, op.relu_y);
}

template void execute(DeviceTarget, const Context&, const MaxPool2d<float>&);
template void execute(DeviceTarget, const Context&, const MaxPool2d<bf16>&);
template void execute(DeviceTarget, const Context&, const MaxPool2dBackward<float>&);
template void execute(DeviceTarget, const Context&, const MaxPool2dBackward<bf16>&);

}  // namespace unet::kernels
