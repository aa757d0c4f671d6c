// Checksums that guard files against damage.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace unet::engine {

/// CRC-32C (polynomial 0x1EDC6F41, reflected) of data; `previous` continues the sum of the bytes before.
/// Source: RFC 3720, section 12.1.
uint32_t crc32c(std::span<const std::byte> data, uint32_t previous = 0);

/// SHA-256 of bytes that arrive in pieces. Source: FIPS 180-4.
class Sha256 {
 public:
  void update(std::span<const std::byte> data);
  /// The digest of all bytes so far as 64 lower-case hexadecimal digits; more may follow.
  std::string hex_digest() const;

 private:
  void compress(const std::byte* block);

  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> buffer_{};
  uint64_t bytes_ = 0;
};

}  // namespace unet::engine
