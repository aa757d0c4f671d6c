// Random draws of the data pipeline: streams of Philox numbers that are named, never shared and never stored.
#pragma once

#include "kernels/philox.h"

namespace unet {

/// What a stream of this layer is for. Every choice has a stream of its own, so that switching one off leaves the
/// others' numbers as they were.
enum class Purpose : uint32_t {
  initial_weights = 0x10,
  dropout = 0x20,  // and the following number for the second dropout layer
  tile_position = 0x100,
  rotation,
  flip,
  elastic,
  gray_curve,
  synthetic_shape,
  synthetic_texture,
  synthetic_noise
};

/// The numbers of one stream in order. Two streams of equal seed, purpose and step give equal numbers on every machine.
class RandomStream {
 public:
  RandomStream(uint64_t seed, Purpose purpose, uint32_t step)
      : key_{.seed = seed, .purpose = static_cast<uint32_t>(purpose), .step = step} {}

  /// 32 random bits.
  uint32_t word() {
    if (next_ % 4 == 0) block_ = kernels::philox(key_, next_ / 4);
    return block_.word[next_++ % 4];
  }
  /// Uniform in [low, high), in steps of (high - low) / 2^32.
  double uniform(double low, double high) { return low + (high - low) * (word() * 0x1p-32); }
  /// Uniform in 0 .. count-1; count in 1 .. 2^32.
  int64_t below(int64_t count) {
    return static_cast<int64_t>((static_cast<uint64_t>(word()) * static_cast<uint64_t>(count)) >> 32);
  }
  bool coin() { return (word() & 1U) != 0; }
  /// Mean 0, standard deviation 1. Takes two words.
  double normal() {
    const uint32_t first = word(), second = word();
    return kernels::normal(first, second).a;
  }

 private:
  kernels::PhiloxKey key_;
  uint64_t next_ = 0;  // words taken
  kernels::PhiloxBlock block_{};
};

}  // namespace unet
