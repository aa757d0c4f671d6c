// Kernels that treat every group of a few neighbouring channels by itself.
#pragma once

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/vector.cuh"
#include "kernels/cuda/walk.cuh"

namespace unet::kernels::gpu {

constexpr int kElementwiseThreads = 256;

/// body(i) for i in [0, count), one thread each; where count is large, a thread takes every (blocks * 256)-th.
template <class Body>
__global__ void __launch_bounds__(kElementwiseThreads) elementwise_kernel(Body body, int64_t count) {
  const int64_t step = int64_t{gridDim.x} * kElementwiseThreads;
  for (int64_t i = int64_t{blockIdx.x} * kElementwiseThreads + threadIdx.x; i < count; i += step) body(i);
}

/// Launches the kernel. Bound: memory, at 16 bytes a thread and access; all multiprocessors are filled 16 times over,
/// so that the last wave is short.
template <class Body>
void for_each(const Context& context, int64_t count, const Body& body) {
  const int64_t blocks = ceil_div(count, kElementwiseThreads),
                most = int64_t{128} * device_info(context).multiprocessors;
  launch(context, elementwise_kernel<Body>,
         {.grid = dim3(static_cast<unsigned>(blocks < most ? blocks : most)), .block = dim3(kElementwiseThreads)}, body,
         count);
}

/// Elements of T in 16 bytes.
template <class T>
inline constexpr int kVectorLength = static_cast<int>(16 / sizeof(T));

/// f(width) with the compile-time kWidth where pixels of all views that are present are multiples of it and aligned to
/// it, else with 1.
template <int kWidth, class F, class... Ts>
void with_width(F f, const View<Ts>&... views) {
  if (((!views || is_aligned(views, kWidth)) && ...)) {
    f(std::integral_constant<int, kWidth>{});
  } else {
    f(std::integral_constant<int, 1>{});
  }
}

/// A dense view as one pixel of all its elements, in their order.
template <class T>
View<T> as_one_pixel(const View<T>& v) {
  return View<T>::nhwc(v.data, 1, 1, 1, v.size());
}

/// The same for operations that treat all elements alike: f(width, views...). Dense views come as one pixel each, which
/// is a multiple of kWidth more often than the channels of a pixel are.
template <int kWidth, class F, class... Ts>
void with_elements(F f, const View<Ts>&... views) {
  if ((views.is_dense() && ...)) {
    with_width<kWidth>([&](auto width) { f(width, as_one_pixel(views)...); }, as_one_pixel(views)...);
  } else {
    with_width<kWidth>([&](auto width) { f(width, views...); }, views...);
  }
}

/// y = f(x), element by element; y may be x. F is a function object with a device operator(): X to Y.
template <class F, class X, class Y, int kWidth>
struct UnaryMap {
  Walk walk;
  Walked<const X> x;
  Walked<Y> y;
  F f;

  __device__ __forceinline__ void operator()(int64_t i) const {
    const Place place = walk.place(i);
    const auto in = load_vector<kWidth>(x(place));
    Vector<Y, kWidth> out;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) out.values[k] = f(in.values[k]);
    store_vector(y(place), out);
  }
};

template <class F, class X, class Y>
void map(const Context& context, const F& f, const View<const X>& x, const View<Y>& y) {
  constexpr int kWidth = static_cast<int>(16 / (sizeof(X) > sizeof(Y) ? sizeof(X) : sizeof(Y)));
  with_elements<kWidth>(
      [&](auto width, const auto& from, const auto& to) {
        const Walk walk = Walk::over(width, to, from);
        for_each(context, walk.count(), UnaryMap<F, X, Y, width>{walk, walk(from), walk(to), f});
      },
      x, y);
}

/// y = f(a, b), element by element; y may be a or b.
template <class F, class T, int kWidth>
struct BinaryMap {
  Walk walk;
  Walked<const T> a, b;
  Walked<T> y;
  F f;

  __device__ __forceinline__ void operator()(int64_t i) const {
    const Place place = walk.place(i);
    const auto left = load_vector<kWidth>(a(place)), right = load_vector<kWidth>(b(place));
    Vector<T, kWidth> out;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) out.values[k] = f(left.values[k], right.values[k]);
    store_vector(y(place), out);
  }
};

template <class F, class T>
void map(const Context& context, const F& f, const View<const T>& a, const View<const T>& b, const View<T>& y) {
  with_elements<kVectorLength<T>>(
      [&](auto width, const auto& left, const auto& right, const auto& to) {
        const Walk walk = Walk::over(width, to, left, right);
        for_each(context, walk.count(), BinaryMap<F, T, width>{walk, walk(left), walk(right), walk(to), f});
      },
      a, b, y);
}

/// y = x, bit by bit.
struct Copy {
  template <class T>
  __device__ __forceinline__ T operator()(T value) const {
    return value;
  }
};

}  // namespace unet::kernels::gpu
