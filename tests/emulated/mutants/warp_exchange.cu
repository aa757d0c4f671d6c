// Exchange through shared memory within a warp, and between some of a block's warps by a named barrier.
#include "tests/emulated/mutants/mutants.h"

namespace unet::kernels::gpu::mutants {
namespace {

enum class Bug : uint8_t {
  none,
  no_sync_warp,            // lanes read before others have written
  sync_without_some,       // lanes that read are not in the mask
  lane_outside_mask,       // calls for others without being one of them
  mask_names_absent,       // waits for lanes that do not come
  barrier_counts_more,     // waits for a warp that does not come
  barrier_count_no_warps,  // a number of threads that is no multiple of 32
  barrier_number,          // there are 16 barriers
  wrong_barrier            // the writers arrive at another barrier than the readers
};

constexpr int kThreadsPerBlock = 128;

/// y = x reversed within each warp; the first half of each warp only takes part where `halves`.
template <Bug kBug>
__global__ void __launch_bounds__(kThreadsPerBlock) reverse_in_warp(float* y, const float* x) {
  UNET_SHARED(float[kThreadsPerBlock], exchange);
  const unsigned i = threadIdx.x, lane = i % 32;
  exchange[i] = x[i];
  if constexpr (kBug == Bug::sync_without_some) {
    if (lane < 16) __syncwarp(0xffffU);
  } else if constexpr (kBug == Bug::lane_outside_mask) {
    __syncwarp(lane < 31 ? 0x7fffffffU : 1U);
  } else if constexpr (kBug == Bug::mask_names_absent) {
    if (lane < 16) __syncwarp();
  } else if constexpr (kBug != Bug::no_sync_warp) {
    __syncwarp();
  }
  y[i] = exchange[i - lane + 31 - lane];
}

/// Warps 1 and 2 exchange their halves of x; warps 0 and 3 have nothing to do with it.
template <Bug kBug>
__global__ void __launch_bounds__(kThreadsPerBlock) swap_warps(float* y, const float* x) {
  UNET_SHARED(float[64], exchange);
  const unsigned warp = threadIdx.x / 32;
  if (warp != 1 && warp != 2) return;
  const unsigned i = threadIdx.x - 32;
  exchange[i] = x[i];
  if constexpr (kBug == Bug::barrier_counts_more) {
    named_barrier(1, 96);
  } else if constexpr (kBug == Bug::barrier_count_no_warps) {
    named_barrier(1, 48);
  } else if constexpr (kBug == Bug::barrier_number) {
    named_barrier(16, 64);
  } else if constexpr (kBug == Bug::wrong_barrier) {
    named_barrier(warp, 64);
  } else {
    named_barrier(1, 64);
  }
  y[i] = exchange[63 - i];
}

template <Bug kBug>
bool run_reverse(const Context& context) {
  std::vector<float> x = integers<float>(kThreadsPerBlock);
  DeviceArray<float> device_x(context, x), y(context, kThreadsPerBlock);
  launch(context, reverse_in_warp<kBug>, {.grid = dim3(1), .block = dim3(kThreadsPerBlock)}, y.data(),
         static_cast<const float*>(device_x.data()));
  for (int warp = 0; warp < kThreadsPerBlock; warp += 32) std::reverse(x.begin() + warp, x.begin() + warp + 32);
  return y.download() == x;
}

template <Bug kBug>
bool run_swap(const Context& context) {
  std::vector<float> x = integers<float>(64);
  DeviceArray<float> device_x(context, x), y(context, 64);
  launch(context, swap_warps<kBug>, {.grid = dim3(1), .block = dim3(kThreadsPerBlock)}, y.data(),
         static_cast<const float*>(device_x.data()));
  std::reverse(x.begin(), x.end());
  return y.download() == x;
}

}  // namespace

std::vector<Mutant> warp_exchange() {
  return {
      {"reverse_in_warp", {}, run_reverse<Bug::none>},
      {"swap_warps", {}, run_swap<Bug::none>},
      {"no_sync_warp", {Defect::shared_race}, run_reverse<Bug::no_sync_warp>, {Defect::uninitialised_shared}},
      {"sync_without_some", {Defect::shared_race}, run_reverse<Bug::sync_without_some>, {Defect::uninitialised_shared}},
      {"lane_outside_mask", {Defect::bad_operand}, run_reverse<Bug::lane_outside_mask>},
      {"mask_names_absent",
       {Defect::divergent_collective, Defect::shared_race},
       run_reverse<Bug::mask_names_absent>,
       {Defect::deadlock, Defect::uninitialised_shared}},
      {"barrier_counts_more", {Defect::deadlock}, run_swap<Bug::barrier_counts_more>},
      {"barrier_count_no_warps",
       {Defect::bad_operand},
       run_swap<Bug::barrier_count_no_warps>,
       {Defect::deadlock, Defect::shared_race, Defect::uninitialised_shared}},
      {"barrier_number", {Defect::bad_operand}, run_swap<Bug::barrier_number>},
      {"wrong_barrier", {Defect::deadlock}, run_swap<Bug::wrong_barrier>},
  };
}

}  // namespace unet::kernels::gpu::mutants
