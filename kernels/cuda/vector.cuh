// A few elements that are moved at once.
#pragma once

#include "kernels/cuda/device.cuh"

namespace unet::kernels::gpu {

/// Aligned to its size, so that it moves in one instruction up to 16 bytes.
template <class T, int kLength>
struct alignas(sizeof(T) * kLength) Vector {
  T values[kLength];
};

#if defined(UNET_EMULATED)
// g++ takes the copy of a structure apart, and the checker would neither see that it is one access nor its alignment:
// a vector moves as integers of up to 16 bytes, which volatile keeps whole.
template <size_t kBytes>
struct WordOf;
// clang-format off
template <> struct WordOf<1> { using type = uint8_t; };
template <> struct WordOf<2> { using type = uint16_t; };
template <> struct WordOf<4> { using type = uint32_t; };
template <> struct WordOf<8> { using type = uint64_t; };
template <> struct WordOf<16> { using type = unsigned __int128; };
// clang-format on
template <class V>
struct WordsOf {
  static constexpr size_t kBytes = sizeof(V) < 16 ? sizeof(V) : 16;
  typename WordOf<kBytes>::type words[sizeof(V) / kBytes];
};
template <class V>
using Word [[gnu::may_alias]] = typename WordOf<WordsOf<V>::kBytes>::type;
#endif

template <int kLength, class T>
__device__ __forceinline__ Vector<T, kLength> load_vector(const T* from) {
  using V = Vector<T, kLength>;
#if defined(UNET_EMULATED)
  WordsOf<V> whole;
  const auto* const words = reinterpret_cast<const volatile Word<V>*>(from);
  for (size_t i = 0; i < sizeof(V) / WordsOf<V>::kBytes; ++i) whole.words[i] = words[i];
  return std::bit_cast<V>(whole);
#else
  return *reinterpret_cast<const V*>(from);
#endif
}
template <class T, int kLength>
__device__ __forceinline__ void store_vector(T* to, const Vector<T, kLength>& vector) {
  using V = Vector<T, kLength>;
#if defined(UNET_EMULATED)
  const auto whole = std::bit_cast<WordsOf<V>>(vector);
  auto* const words = reinterpret_cast<volatile Word<V>*>(to);
  for (size_t i = 0; i < sizeof(V) / WordsOf<V>::kBytes; ++i) words[i] = whole.words[i];
#else
  *reinterpret_cast<V*>(to) = vector;
#endif
}

/// Each value as a T.
template <class T, int kLength>
__device__ __forceinline__ Vector<T, kLength> rounded(const Vector<float, kLength>& values) {
  if constexpr (std::is_same_v<T, float>) {
    return values;
  } else if constexpr (kLength % 2 == 0) {
    Vector<uint32_t, kLength / 2> pairs;
#pragma unroll
    for (int i = 0; i < kLength / 2; ++i) pairs.values[i] = pack_bf16(values.values[2 * i], values.values[2 * i + 1]);
    return std::bit_cast<Vector<T, kLength>>(pairs);
  } else {
    Vector<T, kLength> result;
#pragma unroll
    for (int i = 0; i < kLength; ++i) result.values[i] = T(values.values[i]);
    return result;
  }
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
