#include "kernels/dropout.h"

#include <cmath>

#include "kernels/cuda/elementwise.cuh"

namespace unet::kernels {
namespace gpu {
namespace {

/// What is the same for all elements.
struct DropoutRule {
  PhiloxKey key;
  const uint32_t* step;  // [1] or null: instead of key.step
  uint32_t threshold;    // kept where word >> 8 >= threshold, which is uniform(word) >= p
  float scale;           // 1 / (1-p)

  /// The words of elements 4*block to 4*block+3.
  __device__ __forceinline__ PhiloxBlock words(int64_t block) const {
    PhiloxKey now = key;
    if (step != nullptr) now.step = *step;
    return philox(now, static_cast<uint64_t>(block));
  }
  __device__ __forceinline__ float operator()(float x, uint32_t word) const {
    return word >> 8 >= threshold ? x * scale : 0.0F;
  }
};

/// A thread takes kWidth elements that lie together, and kWidth/4 Philox blocks. Bound: memory; a Philox block costs
/// some 60 integer instructions.
template <class T, int kWidth>
struct DropoutVector {
  Walk walk;
  Walked<const T> x;
  Walked<T> y;
  DropoutRule rule;

  __device__ __forceinline__ void operator()(int64_t i) const {
    const Place place = walk.place(i);
    const auto in = load_vector<kWidth>(x(place));
    Vector<T, kWidth> out;
#pragma unroll
    for (int k = 0; k < kWidth; k += 4) {
      const PhiloxBlock words = rule.words((i * kWidth + k) / 4);
#pragma unroll
      for (int j = 0; j < 4; ++j) out.values[k + j] = rule(in.values[k + j], words.word[j]);
    }
    store_vector(y(place), out);
  }
};

/// A thread takes the four elements of one Philox block, wherever they lie.
template <class T>
struct DropoutScalars {
  Walk walk;
  Walked<const T> x;
  Walked<T> y;
  DropoutRule rule;

  __device__ __forceinline__ void operator()(int64_t block) const {
    const PhiloxBlock words = rule.words(block);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (4 * block + j >= walk.count()) return;
      const Place place = walk.place(4 * block + j);
      *y(place) = rule(*x(place), words.word[j]);
    }
  }
};

}  // namespace
}  // namespace gpu

template <class T>
void execute(DeviceTarget, const Context& context, const Dropout<T>& op) {
  gpu::require_channels_last(Dropout<T>::kName, op.x, op.y);
  const gpu::DropoutRule rule{.key = op.key,
                              .step = op.step,
                              .threshold = static_cast<uint32_t>(std::ceil(op.p * 0x1p24)),
                              .scale = static_cast<float>(1 / (1 - op.p))};
  gpu::with_elements<gpu::kVectorLength<T>>(
      [&](auto width, const auto& x, const auto& y) {
        const auto walk = gpu::Walk::over(width, y, x);
        if constexpr (width > 1) {
          gpu::for_each(context, walk.count(), gpu::DropoutVector<T, width>{walk, walk(x), walk(y), rule});
        } else {
          gpu::for_each(context, ceil_div(walk.count(), 4), gpu::DropoutScalars<T>{walk, walk(x), walk(y), rule});
        }
      },
      op.x, op.y);
}

template void execute(DeviceTarget, const Context&, const Dropout<float>&);
template void execute(DeviceTarget, const Context&, const Dropout<bf16>&);

}  // namespace unet::kernels
