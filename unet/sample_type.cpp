#include "unet/sample_type.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/error.h"

namespace unet {
namespace {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class Stored, class To>
void unpack_words(const std::byte* row, bool inverted, int64_t first, int64_t count, To* out) {
  const std::byte* at = row + first * static_cast<int64_t>(sizeof(Stored));
  for (int64_t i = 0; i < count; ++i) {
    auto value = load<Stored>(at + i * static_cast<int64_t>(sizeof(Stored)));
    if constexpr (std::is_unsigned_v<Stored>) {
      if (inverted) value = static_cast<Stored>(~value);
    }
    out[i] = static_cast<To>(value);
  }
}

template <class To>
void unpack_bits(const std::byte* row, int bits, bool inverted, int64_t first, int64_t count, To* out) {
  const uint32_t mask = (1U << bits) - 1;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin_bit = (first + i) * bits, end_bit = begin_bit + bits;
    uint32_t word = 0;
    for (int64_t byte = begin_bit / 8; byte <= (end_bit - 1) / 8; ++byte) word = word << 8 | load<uint8_t>(row + byte);
    word >>= (8 - end_bit % 8) % 8;
    out[i] = static_cast<To>((inverted ? ~word : word) & mask);
  }
}

/// IEEE 754 binary16 to float, exactly.
float from_half(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16, magnitude = half & 0x7fffU;
  if (magnitude >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | (magnitude & 0x3ffU) << 13);
  // As a float's bits, magnitude << 13 is the value times 2^-112; the product is exact, subnormal halves included.
  const float value = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

template <class Stored, class From>
int64_t pack_words(const From* values, int64_t count, std::byte* out) {
  for (int64_t i = 0; i < count; ++i) {
    Stored word;
    if constexpr (std::is_floating_point_v<Stored>) {
      word = static_cast<Stored>(values[i]);
    } else {
      const double rounded = std::nearbyint(static_cast<double>(values[i]));
      if (!(rounded >= 0 && rounded <= static_cast<double>(std::numeric_limits<Stored>::max()))) return i;
      word = static_cast<Stored>(rounded);
    }
    std::memcpy(out + i * static_cast<int64_t>(sizeof word), &word, sizeof word);
  }
  return count;
}

}  // namespace

std::string SampleType::name() const {
  const char* prefix = kind == SampleKind::unsigned_integer ? "uint" : is_integer() ? "int" : "float";
  return concat(prefix, bits);
}

float SampleType::white() const {
  if (!is_integer()) return 1;
  const int value_bits = kind == SampleKind::signed_integer ? bits - 1 : bits;
  return static_cast<float>(std::ldexp(1.0, value_bits) - 1.0);
}

bool SampleType::is_readable() const {
  switch (kind) {
    case SampleKind::unsigned_integer:
      return (bits >= 1 && bits <= 16) || bits == 32 || bits == 64;
    case SampleKind::signed_integer:
      return bits == 8 || bits == 16 || bits == 32 || bits == 64;
    case SampleKind::floating_point:
      return bits == 16 || bits == 32 || bits == 64;
  }
  return false;
}

template <class To>
void unpack_samples(const std::byte* row, SampleType type, bool inverted, int64_t first, int64_t count, To* out) {
  switch (type.kind) {
    case SampleKind::unsigned_integer:
      if (type.bits == 8) return unpack_words<uint8_t>(row, inverted, first, count, out);
      if (type.bits == 16) return unpack_words<uint16_t>(row, inverted, first, count, out);
      if (type.bits == 32) return unpack_words<uint32_t>(row, inverted, first, count, out);
      if (type.bits == 64) return unpack_words<uint64_t>(row, inverted, first, count, out);
      return unpack_bits(row, type.bits, inverted, first, count, out);
    case SampleKind::signed_integer:
      if (type.bits == 8) return unpack_words<int8_t>(row, false, first, count, out);
      if (type.bits == 16) return unpack_words<int16_t>(row, false, first, count, out);
      if (type.bits == 32) return unpack_words<int32_t>(row, false, first, count, out);
      return unpack_words<int64_t>(row, false, first, count, out);
    case SampleKind::floating_point:
      if (type.bits == 32) return unpack_words<float>(row, false, first, count, out);
      if (type.bits == 64) return unpack_words<double>(row, false, first, count, out);
      for (int64_t i = 0; i < count; ++i) out[i] = from_half(load<uint16_t>(row + (first + i) * 2));
  }
}

template <class From>
int64_t pack_samples(const From* values, int64_t count, SampleType type, std::byte* out) {
  if (type == kUint8) return pack_words<uint8_t>(values, count, out);
  if (type == kUint16) return pack_words<uint16_t>(values, count, out);
  if (type == kUint32) return pack_words<uint32_t>(values, count, out);
  if (type == kFloat32) return pack_words<float>(values, count, out);
  throw TypeError(concat("write image: expected uint8, uint16, uint32 or float32 samples, got ", type.name()));
}

template void unpack_samples(const std::byte*, SampleType, bool, int64_t, int64_t, float*);
template void unpack_samples(const std::byte*, SampleType, bool, int64_t, int64_t, double*);
template int64_t pack_samples(const float*, int64_t, SampleType, std::byte*);
template int64_t pack_samples(const int32_t*, int64_t, SampleType, std::byte*);

}  // namespace unet
