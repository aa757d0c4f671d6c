// Number types of pixels as files store them, and their conversion to the float and integer types used here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace unet {

enum class SampleKind : uint8_t { unsigned_integer, signed_integer, floating_point };

/// One stored number. Readable: unsigned integers of 1 .. 16, 32 and 64 bits (other than 8, 16, 32 and 64 they are
/// packed, most significant bit first, rows starting on a byte), signed ones of 8, 16, 32, 64, floats of 16, 32, 64.
struct SampleType {
  SampleKind kind = SampleKind::unsigned_integer;
  int bits = 8;

  /// As NumPy names it: "uint8", "int16", "float32"; "uint1" is a bilevel mask.
  std::string name() const;
  bool is_readable() const;
  bool is_integer() const { return kind != SampleKind::floating_point; }
  /// What stands for white, or for a probability of one: the largest value of an integer type, else 1.
  float white() const;
  bool operator==(const SampleType&) const = default;
};

inline constexpr SampleType kUint8{SampleKind::unsigned_integer, 8};
inline constexpr SampleType kUint16{SampleKind::unsigned_integer, 16};
inline constexpr SampleType kUint32{SampleKind::unsigned_integer, 32};
inline constexpr SampleType kFloat32{SampleKind::floating_point, 32};

/// Converts samples `first` .. `first + count - 1` of a stored row to `out` [count]; To is float or double.
/// Integers beyond 2^24 (float) or 2^53 (double) are rounded to nearest. `inverted` maps v to its type's maximum - v
/// first and is for unsigned integers only.
template <class To>
void unpack_samples(const std::byte* row, SampleType type, bool inverted, int64_t first, int64_t count, To* out);

/// Stores `count` values as uint8, uint16, uint32 or float32 in native byte order, rounding to the nearest integer.
/// Returns the index of the first value that the type cannot hold (out of range, or NaN in an integer), or `count`.
template <class From>
int64_t pack_samples(const From* values, int64_t count, SampleType type, std::byte* out);

}  // namespace unet
