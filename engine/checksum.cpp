#include "engine/checksum.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace unet::engine {
namespace {

// table[k][b] is the sum of byte b followed by k zero bytes, so that eight bytes take eight independent look-ups.
constexpr auto kCrcTables = [] {
  std::array<std::array<uint32_t, 256>, 8> table{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t sum = b;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1U) != 0 ? 0x82f63b78U : 0U);
    table[0][b] = sum;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t b = 0; b < 256; ++b) table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xff];
  }
  return table;
}();

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
constexpr std::array<uint32_t, 64> kRoundConstants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

}  // namespace

uint32_t crc32c(std::span<const std::byte> data, uint32_t previous) {
  const auto& t = kCrcTables;
  uint32_t sum = ~previous;
  while (data.size() >= 8) {
    uint64_t eight;
    std::memcpy(&eight, data.data(), 8);
    eight ^= sum;
    const auto byte = [eight](int i) { return static_cast<uint8_t>(eight >> (8 * i)); };
    sum = t[7][byte(0)] ^ t[6][byte(1)] ^ t[5][byte(2)] ^ t[4][byte(3)] ^ t[3][byte(4)] ^ t[2][byte(5)] ^
          t[1][byte(6)] ^ t[0][byte(7)];
    data = data.subspan(8);
  }
  for (const std::byte b : data) sum = (sum >> 8) ^ t[0][(sum ^ static_cast<uint32_t>(b)) & 0xff];
  return ~sum;
}

void Sha256::compress(const std::byte* block) {
  std::array<uint32_t, 64> w;
  for (size_t i = 0; i < 16; ++i) {
    std::memcpy(&w[i], block + 4 * i, 4);
    w[i] = __builtin_bswap32(w[i]);
  }
  for (size_t i = 16; i < 64; ++i) {
    const uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
    const uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  auto [a, b, c, d, e, f, g, h] = state_;
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const uint32_t choice = (e & f) ^ (~e & g);
    const uint32_t t1 = h + sum1 + choice + kRoundConstants[i] + w[i];
    const uint32_t sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
    h = g, g = f, f = e, e = d + t1;
    d = c, c = b, b = a, a = t1 + sum0 + majority;
  }
  const std::array<uint32_t, 8> sums{a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < 8; ++i) state_[i] += sums[i];
}

void Sha256::update(std::span<const std::byte> data) {
  const size_t filled = bytes_ % 64;
  bytes_ += data.size();
  if (filled != 0) {
    const size_t taken = std::min(data.size(), 64 - filled);
    std::copy_n(data.begin(), taken, buffer_.begin() + static_cast<ptrdiff_t>(filled));
    data = data.subspan(taken);
    if (filled + taken < 64) return;
    compress(buffer_.data());
  }
  for (; data.size() >= 64; data = data.subspan(64)) compress(data.data());
  std::copy(data.begin(), data.end(), buffer_.begin());
}

std::string Sha256::hex_digest() const {
  // Padding: a one bit, zeros up to 8 bytes before a block's end, the message's length in bits.
  Sha256 last = *this;
  std::array<std::byte, 72> padding{std::byte{0x80}};
  const size_t zeros_end = bytes_ % 64 < 56 ? 56 - bytes_ % 64 : 120 - bytes_ % 64;
  const uint64_t bits = __builtin_bswap64(bytes_ * 8);
  std::memcpy(padding.data() + zeros_end, &bits, 8);
  last.update(std::span(padding).first(zeros_end + 8));

  std::string text;
  for (const uint32_t word : last.state_) {
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[(word >> shift) & 15];
  }
  return text;
}

}  // namespace unet::engine
