// Philox4x32-10: counter-based random numbers, the same on every target. Source: Salmon et al., SC'11, "Parallel
// random numbers: as easy as 1, 2, 3".
#pragma once

#include <cmath>

#include "kernels/types.h"

namespace unet::kernels {

/// Names one random stream: a seed, a purpose and a step. No hidden state: the i-th block is philox(key, i).
struct PhiloxKey {
  uint64_t seed = 0;
  uint32_t purpose = 0;  // what the numbers are for; two uses never share one
  uint32_t step = 0;     // training step or sample number
};

struct PhiloxBlock {
  uint32_t word[4];
};

/// Four independent 32-bit words for block `index` of the stream.
UNET_HOST_DEVICE inline PhiloxBlock philox(PhiloxKey key, uint64_t index) {
  uint32_t c0 = static_cast<uint32_t>(index), c1 = static_cast<uint32_t>(index >> 32);
  uint32_t c2 = key.purpose, c3 = key.step;
  uint32_t k0 = static_cast<uint32_t>(key.seed), k1 = static_cast<uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53U} * c0;
    const uint64_t b = uint64_t{0xCD9E8D57U} * c2;
    const uint32_t n0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(b), c3 = static_cast<uint32_t>(a);
    c0 = n0, c2 = n2;
    k0 += 0x9E3779B9U, k1 += 0xBB67AE85U;
  }
  return {{c0, c1, c2, c3}};
}

/// Uniform in [0,1) with 24 bits: exact in float.
UNET_HOST_DEVICE inline float uniform(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24F; }

/// Two independent standard normal numbers from two words (Box-Muller).
struct NormalPair {
  double a, b;
};
inline NormalPair normal(uint32_t first, uint32_t second) {
  const double radius = std::sqrt(-2.0 * std::log((static_cast<double>(first) + 1.0) * 0x1p-32));
  const double angle = 6.283185307179586 * (static_cast<double>(second) * 0x1p-32);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace unet::kernels
