// Maximum of 2x2 windows with the code of its position, one byte an output: two threads share a cell of the checker's.
#include "tests/emulated/mutants/mutants.h"

namespace unet::kernels::gpu::mutants {
namespace {

enum class Bug : uint8_t {
  none,
  odd_edge,         // a window that hangs over the last row and column
  codes_twice,      // two threads write the same byte
  codes_past_end,   // one byte too many
  codes_not_filled  // the gradient reads a code that was not written
};

constexpr int kThreadsPerBlock = 32;

/// y[h/2,w/2], codes[h/2,w/2] of x[h,w]: one thread an output.
template <Bug kBug>
__global__ void __launch_bounds__(kThreadsPerBlock) max_pool(bf16* y, uint8_t* codes, const bf16* x, int h, int w) {
  const int columns = kBug == Bug::odd_edge ? (w + 1) / 2 : w / 2, rows = kBug == Bug::odd_edge ? (h + 1) / 2 : h / 2;
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if constexpr (kBug == Bug::codes_past_end) {
    if (i == rows * columns) codes[i] = 0;
  }
  if (i >= rows * columns) return;
  const bf16* const window = x + i / columns * 2 * w + i % columns * 2;
  float best = window[0];
  int code = 0;
  for (int k = 1; k < 4; ++k) {
    const float value = window[k / 2 * w + k % 2];
    if (value > best) best = value, code = k;
  }
  y[i] = best;
  if constexpr (kBug == Bug::codes_twice) {
    codes[i & ~1] = static_cast<uint8_t>(code);
  } else if constexpr (kBug == Bug::codes_not_filled) {
    if (i / 2 != 3) codes[i] = static_cast<uint8_t>(code);
  } else {
    codes[i] = static_cast<uint8_t>(code);
  }
}

/// dx[h,w] of dy[h/2,w/2]: one thread an output of the forward pass.
__global__ void __launch_bounds__(kThreadsPerBlock)
    max_pool_backward(bf16* dx, const bf16* dy, const uint8_t* codes, int h, int w) {
  const int columns = w / 2, i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= h / 2 * columns) return;
  bf16* const window = dx + i / columns * 2 * w + i % columns * 2;
  for (int k = 0; k < 4; ++k) window[k / 2 * w + k % 2] = codes[i] == k ? dy[i] : bf16(0.0F);
}

template <Bug kBug>
bool run_pooling(const Context& context) {
  // One column less than pairs, so that an output has an odd number of elements.
  constexpr int kH = 10, kW = kBug == Bug::odd_edge ? 15 : 14, kOutputs = 5 * (kW / 2);
  const std::vector<bf16> x = integers<bf16>(kH * kW), dy = integers<bf16>(kOutputs, -2);
  DeviceArray<bf16> device_x(context, x), y(context, kOutputs + (kBug == Bug::odd_edge ? 5 : 0));
  DeviceArray<bf16> device_dy(context, dy), dx(context, x.size());
  DeviceArray<uint8_t> codes(context, kOutputs + (kBug == Bug::odd_edge ? 5 : 0));
  const LaunchShape shape{.grid = dim3(2), .block = dim3(kThreadsPerBlock)};
  launch(context, max_pool<kBug>, shape, y.data(), codes.data(), static_cast<const bf16*>(device_x.data()), kH, kW);
  launch(context, max_pool_backward, shape, dx.data(), static_cast<const bf16*>(device_dy.data()),
         static_cast<const uint8_t*>(codes.data()), kH, kW);
  const std::vector<bf16> pooled = y.download(), gradient = dx.download();
  for (int i = 0; i < kOutputs; ++i) {
    const int corner = i / (kW / 2) * 2 * kW + i % (kW / 2) * 2;
    float best = x[corner], sum = 0;
    for (const int k : {corner, corner + 1, corner + kW, corner + kW + 1}) {
      best = std::max(best, static_cast<float>(x[k]));
      sum += gradient[k];
    }
    if (pooled[i] != best || sum != dy[i]) return false;
  }
  return true;
}

}  // namespace

std::vector<Mutant> pooling() {
  return {
      {"max_pool", {}, run_pooling<Bug::none>},
      {"odd_edge", {Defect::out_of_bounds_global}, run_pooling<Bug::odd_edge>},
      {"codes_twice", {Defect::global_race}, run_pooling<Bug::codes_twice>},
      {"codes_past_end", {Defect::out_of_bounds_global}, run_pooling<Bug::codes_past_end>},
      {"codes_not_filled", {Defect::uninitialised_global}, run_pooling<Bug::codes_not_filled>},
  };
}

}  // namespace unet::kernels::gpu::mutants
