// Transformed filters of Winograd convolutions. Included by the cpu target's Winograd files only.
#pragma once

#if defined(__AVX512F__)

#include <algorithm>

#include "kernels/context.h"
#include "kernels/cpu/winograd_transform.h"

namespace unet::kernels::winograd {

inline constexpr int64_t kVectors = 2;    // vectors of output channels in a register tile
inline constexpr int64_t kSkew = kLanes;  // floats that keep the 36 points out of one cache set

inline constexpr int64_t kPair = kVectors * kLanes;  // output channels in a register tile
inline constexpr int64_t kDepth = 128;               // input channels of a register tile: 16 KiB of U stay in L1

/// Where U = G g G^T lies: [pair of output blocks][part of the input channels][point][channel][block of the pair][16].
struct FilterLayout {
  int64_t input_blocks, output_blocks;

  FilterLayout(int64_t inputs, int64_t outputs)
      : input_blocks(ceil_div(inputs, kLanes)), output_blocks(ceil_div(outputs, kLanes)) {}
  int64_t inputs() const { return input_blocks * kLanes; }
  int64_t pairs() const { return ceil_div(output_blocks, kVectors); }
  int64_t parts() const { return ceil_div(inputs(), kDepth); }
  int64_t vectors(int64_t pair) const { return std::min(kVectors, output_blocks - pair * kVectors); }
  int64_t depth(int64_t part) const { return std::min(kDepth, inputs() - part * kDepth); }
  int64_t point_stride(int64_t pair, int64_t part) const { return depth(part) * vectors(pair) * kLanes + kSkew; }
  int64_t part_size() const { return kPoints * (std::min(kDepth, inputs()) * kPair + kSkew); }
  int64_t offset(int64_t pair, int64_t part) const { return (pair * parts() + part) * part_size(); }
  int64_t size() const { return pairs() * parts() * part_size(); }
};

/// Of which correlation the filter is: forward reads input channels c for outputs k, backward-data the reverse, with
/// taps turned round.
enum class Direction : uint8_t { forward, backward_data };

/// Transforms one part of w [K,3,3,C] into u[layout.part_size()].
void transform_filter_part(const View<const float>& w, Direction direction, const FilterLayout& layout, int64_t pair,
                           int64_t part, float* u);

/// Transforms all of w into packed[layout.size()].
void pack_filter(const Context& context, const View<const float>& w, Direction direction, const FilterLayout& layout,
                 float* packed);

}  // namespace unet::kernels::winograd

#endif  // __AVX512F__
