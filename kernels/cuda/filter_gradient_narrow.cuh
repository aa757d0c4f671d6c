// Filter gradients where one operand has few channels: the first layer of a network (x) and its 1x1 head (g). A tile of
// a matrix product would be almost empty there.
//
//   dw[wide, tap, narrow] = sum over pixels of wide[n,p,q,wide] * narrow[n,p+r,q+s,narrow]
#pragma once

#include "kernels/cuda/vector.cuh"

namespace unet::kernels::gpu {

template <class Wide, class Narrow>
struct NarrowTask {
  View<const Wide> wide = {};      // [N,P,Q,C]
  View<const Narrow> narrow = {};  // [N,P+R-1,Q+S-1,few], pixels of a row without gaps; unused without narrow channels
  int segments = 1;                // of a row of pixels
  int64_t items = 1;               // segments of all rows and images
  float* dw = nullptr;             // [splits] x `length`
  float* db = nullptr;             // [splits][C] sums of wide, [splits][few] of narrow where that is g, or null
  bool bias_of_narrow = false;
  int64_t length = 0;                                          // elements of dw
  int64_t wide_stride = 0, tap_stride = 0, narrow_stride = 0;  // between elements of dw
};

inline constexpr int kNarrowThreads = 256, kNarrowLanes = 16, kNarrowLength = 4;  // channels of a lane
inline constexpr int kNarrowSegment = 48;                                         // pixels

/// Blocks that fit beside each other; told of none, the compiler makes room for more and spills registers.
template <int kTaps, int kNarrow>
inline constexpr int kNarrowBlocks = kTaps* kTaps* kNarrow <= 9 ? 2 : 1;

/// kNarrowLength channels of a pixel, of which `channels` exist; the others are zero. Vectors: one load.
template <bool kVector, class T>
__device__ __forceinline__ void read_channels(float (&to)[kNarrowLength], const T* from, int channels) {
  if constexpr (kVector) {
    const auto vector = load_vector<kNarrowLength>(from);
#pragma unroll
    for (int i = 0; i < kNarrowLength; ++i) to[i] = float(vector.values[i]);
  } else {
#pragma unroll
    for (int i = 0; i < kNarrowLength; ++i) to[i] = i < channels ? float(from[i]) : 0.0F;
  }
}

/// Grid (tiles of 64 wide channels, splits). 16 lanes, four channels each, walk along a segment of a row of pixels,
/// with the narrow values that the kTaps x kTaps taps see in registers; 16 such groups of a block take segments in
/// turn.
///
/// Shared bytes: 4 KiB. Traffic: wide once, narrow kTaps times from the first-level cache. Bound: memory, reading wide.
template <class Wide, class Narrow, int kTaps, int kNarrow, bool kVector>
__global__ __launch_bounds__(kNarrowThreads, kNarrowBlocks<kTaps, kNarrow>) void filter_gradient_narrow(
    const NarrowTask<Wide, Narrow> task) {
  constexpr int kGroups = kNarrowThreads / kNarrowLanes, kTile = kNarrowLanes * kNarrowLength;
  constexpr int kStep = kTaps == 1 ? 2 : 3;  // pixels at a time
  constexpr int kWindow = kStep + kTaps - 1, kStored = kNarrow > 0 ? kNarrow : 1;
  const int thread = static_cast<int>(threadIdx.x), group = thread / kNarrowLanes, lane = thread % kNarrowLanes;
  const int channel = static_cast<int>(blockIdx.x) * kTile + lane * kNarrowLength;
  const int split = static_cast<int>(blockIdx.y), splits = static_cast<int>(gridDim.y);
  const int channels = static_cast<int>(task.wide.c) - channel;  // of this lane, if above zero

  float sums[kTaps * kTaps][kStored][kNarrowLength] = {};
  float bias_of_wide[kNarrowLength] = {}, bias_of_narrow[kStored] = {};
  const int64_t last = task.items * (split + 1) / splits;
  for (int64_t item = task.items * split / splits + group; item < last; item += kGroups) {
    const int64_t row = item / task.segments, n = row / task.wide.h, p = row % task.wide.h;
    const int begin = static_cast<int>(item % task.segments) * kNarrowSegment;
    const int width = static_cast<int>(task.wide.w);
    const int end = begin + kNarrowSegment < width ? begin + kNarrowSegment : width;
    const int64_t stride = task.wide.stride_w;
    const Wide* wide_row = task.wide.data + n * task.wide.stride_n + p * task.wide.stride_h + begin * stride +
                           (channels > 0 ? channel : 0);
    const Narrow* narrow_row[kTaps];
#pragma unroll
    for (int r = 0; r < kTaps; ++r) {
      narrow_row[r] = task.narrow.data + n * task.narrow.stride_n + (p + r) * task.narrow.stride_h + begin * kNarrow;
    }
    float window[kTaps][kWindow][kStored];  // of narrow, from column q on
    const auto read_column = [&](int q, int column) {
#pragma unroll
      for (int r = 0; r < kTaps; ++r) {
#pragma unroll
        for (int c = 0; c < kNarrow; ++c) {
          window[r][column][c] = q + column < end + kTaps - 1 ? float(narrow_row[r][column * kNarrow + c]) : 0.0F;
        }
      }
    };
#pragma unroll
    for (int s = 0; s < kTaps - 1; ++s) read_column(begin, s);
    for (int q = begin; q < end; q += kStep) {
      float wide[kStep][kNarrowLength] = {};
#pragma unroll
      for (int u = 0; u < kStep; ++u) {
        if (channels > 0 && q + u < end) read_channels<kVector>(wide[u], wide_row + u * stride, channels);
      }
#pragma unroll
      for (int s = kTaps - 1; s < kWindow; ++s) read_column(q, s);
      wide_row += kStep * stride;
#pragma unroll
      for (int r = 0; r < kTaps; ++r) narrow_row[r] += kStep * kNarrow;
#pragma unroll
      for (int u = 0; u < kStep; ++u) {
#pragma unroll
        for (int i = 0; i < kNarrowLength; ++i) {
          bias_of_wide[i] += wide[u][i];
#pragma unroll
          for (int tap = 0; tap < kTaps * kTaps; ++tap) {
#pragma unroll
            for (int c = 0; c < kNarrow; ++c) {
              sums[tap][c][i] += wide[u][i] * window[tap / kTaps][u + tap % kTaps][c];
            }
          }
        }
        if constexpr (kTaps == 1) {
#pragma unroll
          for (int c = 0; c < kNarrow; ++c) bias_of_narrow[c] += window[0][u][c];
        }
      }
#pragma unroll
      for (int r = 0; r < kTaps; ++r) {
#pragma unroll
        for (int s = 0; s < kTaps - 1; ++s) {
#pragma unroll
          for (int c = 0; c < kNarrow; ++c) window[r][s][c] = window[r][s + kStep][c];
        }
      }
    }
  }

  // The groups' sums are added in the order of the groups.
  UNET_SHARED(float[kGroups][kTile], parts);
  const auto add_groups = [&](const float(&values)[kNarrowLength]) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kNarrowLength; ++i) parts[group][lane * kNarrowLength + i] = values[i];
    __syncthreads();
    float sum = 0;
    if (thread < kTile) {
      for (int i = 0; i < kGroups; ++i) sum += parts[i][thread];
    }
    return sum;
  };
  const int64_t out = static_cast<int64_t>(blockIdx.x) * kTile + thread;
  const bool is_out = thread < kTile && out < task.wide.c;
#pragma unroll
  for (int tap = 0; tap < kTaps * kTaps; ++tap) {
#pragma unroll
    for (int c = 0; c < kNarrow; ++c) {
      const float sum = add_groups(sums[tap][c]);
      if (is_out) {
        task.dw[split * task.length + out * task.wide_stride + tap * task.tap_stride + c * task.narrow_stride] = sum;
      }
    }
  }
  if (task.db == nullptr) return;
  if (!task.bias_of_narrow) {
    const float sum = add_groups(bias_of_wide);
    if (is_out) task.db[split * task.wide.c + out] = sum;
  } else if constexpr (kNarrow > 0) {
    static_assert(kNarrow <= kNarrowLength);
    float values[kNarrowLength] = {};
#pragma unroll
    for (int c = 0; c < kNarrow; ++c) values[c] = bias_of_narrow[c];
    const float sum = add_groups(values);  // every lane has the same
    if (blockIdx.x == 0 && thread < kNarrow) task.db[split * kNarrow + thread] = sum;
  }
}

}  // namespace unet::kernels::gpu
