#include "kernels/dropout.h"

#include <cmath>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/rows.h"

namespace unet::kernels {
namespace {

constexpr int64_t kPhiloxBatch = 16;  // Philox blocks evaluated together, one a vector lane

/// word[4*k + j] = philox(key, index[k]).word[j]
void philox_batch(PhiloxKey key, const uint64_t* index, uint32_t* word) {
#pragma omp simd
  for (int64_t k = 0; k < kPhiloxBatch; ++k) {
    const PhiloxBlock block = philox(key, index[k]);
    for (int64_t j = 0; j < 4; ++j) word[4 * k + j] = block.word[j];
  }
}

/// Runs of up to 16 elements that lie together and have consecutive logical indices.
template <class T>
struct Runs {
  const T* x;
  T* y;
  int64_t count;                       // of runs
  int64_t lanes;                       // elements of a run, at most 16
  int64_t x_stride, y_stride;          // from run to run
  uint64_t first_index, index_stride;  // logical index of the first element, and from run to run
};

/// What is the same for all elements.
struct Mask {
  PhiloxKey key;
  uint32_t threshold;  // kept where word >> 8 >= threshold, which is uniform(word) >= p
  float scale;         // 1 / (1-p)
};

template <class T>
void drop(const Mask& mask, const Runs<T>& runs) {
  // A run that starts at a multiple of four spans four Philox blocks, any other one five.
  const bool is_aligned = runs.first_index % 4 == 0 && runs.index_stride % 4 == 0;
  const int64_t span = is_aligned ? 4 : 5, runs_per_batch = kPhiloxBatch / span;
  uint64_t index[kPhiloxBatch] = {};
  alignas(64) uint32_t word[4 * kPhiloxBatch];

  for (int64_t first = 0; first < runs.count; first += runs_per_batch) {
    const auto start_of = [&](int64_t r) {
      return runs.first_index + static_cast<uint64_t>(first + r) * runs.index_stride;
    };
    for (int64_t r = 0; r < runs_per_batch; ++r) {
      for (int64_t k = 0; k < span; ++k) index[r * span + k] = start_of(r) / 4 + static_cast<uint64_t>(k);
    }
    philox_batch(mask.key, index, word);
    const int64_t filled = std::min(runs_per_batch, runs.count - first);
    for (int64_t r = 0; r < filled; ++r) {
      const uint32_t* draw = word + 4 * span * r + start_of(r) % 4;
      const T* x = runs.x + (first + r) * runs.x_stride;
      T* y = runs.y + (first + r) * runs.y_stride;
      cpu::with_lanes(runs.lanes, [&](auto lanes) {
        const auto words = cpu::load(draw, kChannelBlock);
        const cpu::Float16Lanes kept = cpu::load(x, lanes) * mask.scale, zero{};
        cpu::store((words >> 8) >= mask.threshold ? kept : zero, y, lanes);
      });
    }
  }
}

}  // namespace

template <class T>
void execute(Cpu, const Context& context, const Dropout<T>& op) {
  const auto& x = op.x;
  const auto& y = op.y;
  const Mask mask{.key = op.key_now(),
                  .threshold = static_cast<uint32_t>(std::ceil(op.p * 0x1p24)),
                  .scale = static_cast<float>(1 / (1 - op.p))};
  cpu::for_each_row(context, cpu::Rows(y, x), y.size(), [&](const cpu::Row& row) {
    const auto first_index = static_cast<uint64_t>(((row.n * y.h + row.h) * y.w) * y.c + row.c);
    if (row.lanes == y.c && y.stride_w == y.c && x.stride_w == y.c) {  // the row's indices are consecutive
      const int64_t elements = y.w * y.c, whole = elements / kChannelBlock, rest = elements % kChannelBlock;
      Runs<T> runs{row.of(x),     row.of(y),     whole,       kChannelBlock,
                   kChannelBlock, kChannelBlock, first_index, kChannelBlock};
      drop(mask, runs);
      runs.x += whole * kChannelBlock, runs.y += whole * kChannelBlock;
      runs.first_index += static_cast<uint64_t>(whole * kChannelBlock);
      runs.count = rest > 0 ? 1 : 0, runs.lanes = rest;
      drop(mask, runs);
      return;
    }
    for (int64_t c = 0; c < row.lanes; c += kChannelBlock) {
      const int64_t lanes = std::min(kChannelBlock, row.lanes - c);
      drop(mask, Runs<T>{row.of(x) + c, row.of(y) + c, y.w, lanes, x.stride_w, y.stride_w,
                         first_index + static_cast<uint64_t>(c), static_cast<uint64_t>(y.c)});
    }
    for (int64_t w = 0; w < y.w; ++w) cpu::clear_padding(y, row.of(y) + w * y.stride_w, row.lanes);
  });
}

template void execute(Cpu, const Context&, const Dropout<float>&);
template void execute(Cpu, const Context&, const Dropout<bf16>&);

}  // namespace unet::kernels
