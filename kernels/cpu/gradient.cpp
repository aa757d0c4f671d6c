#include "kernels/cpu/gradient.h"

#include "kernels/cpu/lanes.h"

namespace unet::kernels::cpu {
namespace {

// One row of one channel block: dy[w][16] masked by y[w][16] (or null). Returns the sum over pixels.
template <class T>
Float16Lanes mask_row(const T* y, T* dy, int64_t w) {
  Float16Lanes sum{};
  for (int64_t at = 0; at < w * kChannelBlock; at += kChannelBlock) {
    Float16Lanes g = load(dy + at, kChannelBlock);
    if (y != nullptr) {
      g = load(y + at, kChannelBlock) > 0.0F ? g : Float16Lanes{};
      store(g, dy + at, kChannelBlock);
    }
    sum += g;
  }
  return sum;
}

}  // namespace

template <class T>
void mask_and_sum(const Context& context, const View<const T>& y, const View<T>& dy, const View<float>& db) {
  if (!y && !db) return;
  const int64_t blocks = dy.blocks();
  const int64_t rows = dy.n * dy.h;
  const Scratch<float> sums(*context.workspace, blocks * rows * kChannelBlock);  // [block][row][16]
#pragma omp parallel for num_threads(context.threads)
  for (int64_t i = 0; i < blocks * rows; ++i) {
    const int64_t c = i / rows * kChannelBlock;
    const int64_t n = i % rows / dy.h;
    const int64_t h = i % dy.h;
    store(mask_row<T>(y ? &y(n, h, 0, c) : nullptr, &dy(n, h, 0, c), dy.w), &sums[i * kChannelBlock], kChannelBlock);
  }
  if (!db) return;
  for (int64_t k = 0; k < dy.c; ++k) {
    const float* const block = &sums[k / kChannelBlock * rows * kChannelBlock + k % kChannelBlock];
    double sum = 0;
    for (int64_t row = 0; row < rows; ++row) sum += static_cast<double>(block[row * kChannelBlock]);
    db(0, 0, 0, k) = static_cast<float>(sum);
  }
}

template void mask_and_sum(const Context&, const View<const float>&, const View<float>&, const View<float>&);
template void mask_and_sum(const Context&, const View<const bf16>&, const View<bf16>&, const View<float>&);

}  // namespace unet::kernels::cpu
