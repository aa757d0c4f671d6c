// Sixteen channels of a pixel as one vector, for kernels whose loop over channels the compiler would unroll instead.
#pragma once

#include <bit>
#include <cstring>

#include "kernels/view.h"

namespace unet::kernels::cpu {

// GCC and Clang vector extensions: one AVX-512 register, two AVX2 registers.
using Float16Lanes = float __attribute__((vector_size(64)));
using Int16Lanes = int32_t __attribute__((vector_size(64)));
using Uint16Lanes = uint32_t __attribute__((vector_size(64)));

namespace detail {

using Bytes = uint8_t __attribute__((vector_size(16)));
using Halves = uint16_t __attribute__((vector_size(32)));

/// `count` elements, at most 16, and zeros after them; a compile-time 16 is one load.
template <class Vector, class T>
Vector load_bits(const T* p, int64_t count) {
  static_assert(sizeof(Vector) == kChannelBlock * sizeof(T));
  Vector v{};
  std::memcpy(&v, p, static_cast<size_t>(count) * sizeof(T));
  return v;
}

template <class Vector, class T>
void store_bits(const Vector& v, T* p, int64_t count) {
  static_assert(sizeof(Vector) == kChannelBlock * sizeof(T));
  std::memcpy(static_cast<void*>(p), &v, static_cast<size_t>(count) * sizeof(T));
}

}  // namespace detail

inline Float16Lanes load(const float* p, int64_t count) { return detail::load_bits<Float16Lanes>(p, count); }
inline Uint16Lanes load(const uint32_t* p, int64_t count) { return detail::load_bits<Uint16Lanes>(p, count); }
inline Float16Lanes load(const bf16* p, int64_t count) {
  const auto halves = detail::load_bits<detail::Halves>(p, count);
  return std::bit_cast<Float16Lanes>(__builtin_convertvector(halves, Uint16Lanes) << 16);
}
inline Int16Lanes load(const uint8_t* p, int64_t count) {
  return __builtin_convertvector(detail::load_bits<detail::Bytes>(p, count), Int16Lanes);
}

inline void store(Float16Lanes v, float* p, int64_t count) { detail::store_bits(v, p, count); }
/// Rounds as bf16(float) does.
inline void store(Float16Lanes v, bf16* p, int64_t count) {
  const auto u = std::bit_cast<Uint16Lanes>(v);
  const Uint16Lanes rounded = (u + 0x7fffU + ((u >> 16) & 1U)) >> 16, quiet_nan = (u >> 16) | 0x40U;
  detail::store_bits(__builtin_convertvector(v == v ? rounded : quiet_nan, detail::Halves), p, count);
}
inline void store(Int16Lanes v, uint8_t* p, int64_t count) {
  detail::store_bits(__builtin_convertvector(v, detail::Bytes), p, count);
}

}  // namespace unet::kernels::cpu
