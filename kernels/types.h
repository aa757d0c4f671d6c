// Element types and the traits that kernels and the engine share.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)
#define UNET_HOST_DEVICE __host__ __device__
#elif defined(UNET_EMULATED)
#define UNET_HOST_DEVICE __attribute__((always_inline))  // part of the kernel, as the checker sees it
#else
#define UNET_HOST_DEVICE
#endif

namespace unet {

/// bfloat16 storage: the upper half of a float, rounded to nearest even. Arithmetic happens in float.
struct bf16 {
  uint16_t bits;

  bf16() = default;
  UNET_HOST_DEVICE bf16(float value) {  // NOLINT(google-explicit-constructor): mixes with float as built-in types do
    const auto u = std::bit_cast<uint32_t>(value);
    const bool is_nan = (u & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<uint16_t>(is_nan ? (u >> 16) | 0x40U : (u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
  }
  UNET_HOST_DEVICE operator float() const {  // NOLINT(google-explicit-constructor)
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};
static_assert(sizeof(bf16) == 2);

enum class DType : uint8_t { f32, bf16, f64, u8, i32 };

/// Type in which a value of T is accumulated, and in which its parameters and their gradients are kept.
template <class T>
struct AccumulateOf {
  using type = float;
};
template <>
struct AccumulateOf<double> {
  using type = double;
};
template <class T>
using Accumulate = typename AccumulateOf<T>::type;

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};

constexpr size_t size_of(DType type) {
  switch (type) {
    case DType::bf16:
      return 2;
    case DType::u8:
      return 1;
    case DType::f64:
      return 8;
    case DType::f32:
    case DType::i32:
      break;
  }
  return 4;
}

constexpr const char* name_of(DType type) {
  switch (type) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::f64:
      return "f64";
    case DType::u8:
      return "u8";
    case DType::i32:
      break;
  }
  return "i32";
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

}  // namespace unet
