// y = max(0, 2*x), four elements a thread, and a tail.
#include "tests/emulated/mutants/mutants.h"

namespace unet::kernels::gpu::mutants {
namespace {

enum class Bug : uint8_t {
  none,
  index_off_by_one,      // the last thread works past the end
  index_before_begin,    // reads x[-1]
  vector_tail,           // a whole vector where only a part is left
  structure_past_end,    // a copy of a structure of 32 bytes runs over the end
  memcpy_past_end,       // the same with memcpy
  misaligned_vector,     // a vector at an address of one element
  reads_output,          // reads what nobody wrote
  overlapping_threads,   // neighbours write the same element
  overlapping_blocks,    // so do the blocks
  in_place_neighbour,    // overwrites what another thread reads
  in_place_other_block,  // overwrites what another block reads
  host_pointer,
  freed_input,
  null_output
};

constexpr int kThreadsPerBlock = 64;

struct alignas(16) Vector {
  float value[4];
};
struct Row {
  float value[8];
};

template <Bug kBug>
__global__ void __launch_bounds__(kThreadsPerBlock) scale_relu(float* y, const float* x, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), vectors = count / 4;
  const auto scaled = [](float value) { return value > 0 ? 2 * value : 0; };
  if (i < vectors) {
    Vector v = *reinterpret_cast<const Vector*>(x + 4 * i + (kBug == Bug::misaligned_vector ? 1 : 0));
    for (float& value : v.value) value = scaled(value);
    *reinterpret_cast<Vector*>(y + 4 * i) = v;
  }
  if constexpr (kBug == Bug::vector_tail) {
    if (i == vectors) *reinterpret_cast<Vector*>(y + 4 * i) = Vector{};
  } else if constexpr (kBug == Bug::index_before_begin) {
    if (i < count - 4 * vectors) y[4 * vectors + i] = scaled(x[i - 1]);
  } else if constexpr (kBug == Bug::reads_output) {
    if (i < count - 4 * vectors) y[4 * vectors + i] = scaled(y[4 * vectors + i]);
  } else {
    const int end = kBug == Bug::index_off_by_one ? count + 1 : count;
    if (i < end - 4 * vectors) y[4 * vectors + i] = scaled(x[4 * vectors + i]);
  }
  if constexpr (kBug == Bug::structure_past_end) {
    if (i == 0) *reinterpret_cast<Row*>(y + count - 7) = *reinterpret_cast<const Row*>(x);
  } else if constexpr (kBug == Bug::memcpy_past_end) {
    if (i == 0) memcpy(y + count - 7, x, 8 * sizeof(float));
  }
}

/// One element a thread: y[i] = x[i+1], and the last one zero.
template <Bug kBug>
__global__ void __launch_bounds__(kThreadsPerBlock) shift(float* y, const float* x, int count) {
  int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if constexpr (kBug == Bug::overlapping_threads) i &= ~1;
  if constexpr (kBug == Bug::overlapping_blocks) i = static_cast<int>(blockIdx.x * (blockDim.x - 1) + threadIdx.x);
  if (i < count) y[i] = i + 1 < count ? x[i + 1] : 0;
}

template <Bug kBug>
bool run_scale(const Context& context) {
  constexpr int kCount = 4 * kThreadsPerBlock + 4 * 9 + 3;
  const std::vector<float> x = integers<float>(kCount);
  DeviceArray<float> device_x(context, x), device_y(context, kCount);
  if constexpr (kBug == Bug::freed_input) device_x.release();
  const float* const from = kBug == Bug::host_pointer ? x.data() : device_x.data();
  float* const to = kBug == Bug::null_output ? nullptr : device_y.data();
  launch(context, scale_relu<kBug>, {.grid = dim3(2), .block = dim3(kThreadsPerBlock)}, to, from, kCount);
  const std::vector<float> y = device_y.download();
  for (int i = 0; i < kCount; ++i) {
    if (y[i] != std::max(0.0F, 2 * x[i])) return false;
  }
  return true;
}

template <Bug kBug>
bool run_shift(const Context& context) {
  constexpr int kCount = 2 * kThreadsPerBlock - 5;
  const std::vector<float> x = integers<float>(kCount);
  DeviceArray<float> device_x(context, x), device_y(context, kCount);
  constexpr bool kInPlace = kBug == Bug::in_place_neighbour || kBug == Bug::in_place_other_block;
  // One thread a block: only blocks can be in each other's way.
  const int threads = kBug == Bug::in_place_other_block ? 1 : kThreadsPerBlock;
  float* const to = kInPlace ? device_x.data() : device_y.data();
  launch(context, shift<kBug>,
         {.grid = dim3(static_cast<unsigned>((kCount + threads - 1) / threads)),
          .block = dim3(static_cast<unsigned>(threads))},
         to, static_cast<const float*>(device_x.data()), kCount);
  const std::vector<float> y = device_y.download();
  for (int i = 0; i < kCount; ++i) {
    if (y[i] != (i + 1 < kCount ? x[i + 1] : 0)) return false;
  }
  return true;
}

}  // namespace

std::vector<Mutant> elementwise() {
  return {
      {"scale", {}, run_scale<Bug::none>},
      {"shift", {}, run_shift<Bug::none>},
      {"index_off_by_one", {Defect::out_of_bounds_global}, run_scale<Bug::index_off_by_one>},
      {"index_before_begin", {Defect::out_of_bounds_global}, run_scale<Bug::index_before_begin>},
      {"vector_tail", {Defect::out_of_bounds_global}, run_scale<Bug::vector_tail>},
      {"structure_past_end", {Defect::out_of_bounds_global}, run_scale<Bug::structure_past_end>},
      {"memcpy_past_end", {Defect::out_of_bounds_global}, run_scale<Bug::memcpy_past_end>},
      {"misaligned_vector", {Defect::misaligned}, run_scale<Bug::misaligned_vector>},
      {"reads_output", {Defect::uninitialised_global}, run_scale<Bug::reads_output>},
      {"overlapping_threads", {Defect::global_race}, run_shift<Bug::overlapping_threads>},
      {"overlapping_blocks", {Defect::global_race}, run_shift<Bug::overlapping_blocks>},
      {"in_place_neighbour", {Defect::global_race}, run_shift<Bug::in_place_neighbour>},
      {"in_place_other_block", {Defect::global_race}, run_shift<Bug::in_place_other_block>},
      {"host_pointer", {Defect::host_memory}, run_scale<Bug::host_pointer>},
      {"freed_input", {Defect::freed_memory}, run_scale<Bug::freed_input>},
      {"null_output", {Defect::host_memory}, run_scale<Bug::null_output>},
  };
}

}  // namespace unet::kernels::gpu::mutants
