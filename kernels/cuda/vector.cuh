// A few elements that are moved at once.
#pragma once

#include "kernels/cuda/device.cuh"

namespace unet::kernels::gpu {

/// Aligned to its size, so that it moves in one instruction up to 16 bytes.
template <class T, int kLength>
struct alignas(sizeof(T) * kLength) Vector {
  T values[kLength];
};

template <int kLength, class T>
__device__ __forceinline__ Vector<T, kLength> load_vector(const T* from) {
  return *reinterpret_cast<const Vector<T, kLength>*>(from);
}
template <class T, int kLength>
__device__ __forceinline__ void store_vector(T* to, const Vector<T, kLength>& vector) {
  *reinterpret_cast<Vector<T, kLength>*>(to) = vector;
}

/// First channel of a pixel of a channels-last view.
template <class T>
__device__ __forceinline__ T* pixel_of(const View<T>& v, int64_t n, int64_t h, int64_t w) {
  return v.data + (n * v.stride_n + h * v.stride_h + w * v.stride_w);
}

/// Whether every pixel of a channels-last view begins at a multiple of `length` elements and has a multiple of them.
template <class T>
bool is_aligned(const View<T>& v, int64_t length) {
  const auto bytes = static_cast<uint64_t>(length) * sizeof(T);
  return reinterpret_cast<uintptr_t>(v.data) % bytes == 0 &&
         (v.c | v.stride_w | v.stride_h | (v.n > 1 ? v.stride_n : 0)) % length == 0;
}

}  // namespace unet::kernels::gpu
