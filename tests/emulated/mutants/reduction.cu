// Sums: over a warp by shuffles, over a block by shared memory, over the grid by the block that comes last.
#include "tests/emulated/mutants/mutants.h"

namespace unet::kernels::gpu::mutants {
namespace {

enum class Bug : uint8_t {
  none,
  no_barrier_after_store,     // partial sums are read before they are written
  no_barrier_before_reuse,    // and overwritten before they are read
  reads_past_partials,        // one warp too many
  partial_never_written,      // one warp does not store its sum
  barrier_in_branch,          // half of the block
  two_barriers,               // each half in another line
  return_before_barrier,      // threads without work leave
  shuffle_in_branch,          // a few lanes
  shuffle_reads_absent_lane,  // a lane outside the mask
  no_device_fence,            // the last block may read stale partial sums
  no_barrier_before_ticket,   // thread 0 fences before the other threads have written
  flag_without_barrier,       // the other threads read too early whether theirs is the last block
  plain_ticket,               // an increment that is not atomic
  ticket_read_plainly,        // a plain read beside atomics
  two_blocks_one_slot,        // partial sums of two blocks in one place
  block_too_large,
  grid_empty,
  too_much_shared_memory
};

constexpr int kThreadsPerBlock = 96, kWarps = kThreadsPerBlock / 32, kBlocks = 5;

__device__ __forceinline__ float warp_sum(float value) {
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(~0U, value, lanes);
  return value;
}

/// The sum over the block, in all of its threads.
template <Bug kBug>
__device__ __forceinline__ float block_sum(float value, float* partial) {
  const unsigned warp = threadIdx.x / 32;
  value = warp_sum(value);
  if constexpr (kBug == Bug::partial_never_written) {
    if (threadIdx.x % 32 == 0 && warp != 1) partial[warp] = value;
  } else {
    if (threadIdx.x % 32 == 0) partial[warp] = value;
  }
  if constexpr (kBug == Bug::barrier_in_branch) {
    if (warp < 2) __syncthreads();
  } else if constexpr (kBug == Bug::two_barriers) {
    if (warp < 2) {
      __syncthreads();
    } else {
      __syncthreads();
    }
  } else if constexpr (kBug != Bug::no_barrier_after_store) {
    __syncthreads();
  }
  float sum = 0;
  for (int i = 0; i < (kBug == Bug::reads_past_partials ? kWarps + 1 : kWarps); ++i) sum += partial[i];
  if constexpr (kBug != Bug::no_barrier_before_reuse) __syncthreads();
  return sum;
}

/// out[0] = sum of x, out[1] = sum of its squares. slots[gridDim.x], *ticket zero before and after.
template <Bug kBug>
__global__ void __launch_bounds__(kThreadsPerBlock)
    sums(float* out, float2* slots, unsigned* ticket, const float* x, int count) {
  UNET_SHARED(float[kWarps], partial);
  UNET_SHARED(bool, is_last);
  if constexpr (kBug == Bug::return_before_barrier) {
    if (threadIdx.x == 5) return;
  }
  float sum = 0, squares = 0;
  for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < count;
       i += static_cast<int>(gridDim.x * blockDim.x)) {
    sum += x[i];
    squares += x[i] * x[i];
  }
  if constexpr (kBug == Bug::shuffle_in_branch) {
    if (threadIdx.x % 32 < 4) sum += 0 * __shfl_xor_sync(~0U, sum, 1);
  } else if constexpr (kBug == Bug::shuffle_reads_absent_lane) {
    if (threadIdx.x % 32 < 16) sum += 0 * __shfl_down_sync(0xffffU, sum, 1);
  }
  sum = block_sum<kBug>(sum, partial);
  squares = block_sum<kBug>(squares, partial);
  const unsigned slot = kBug == Bug::two_blocks_one_slot ? blockIdx.x / 2 : blockIdx.x;
  // Two threads, so that a barrier is needed besides the fence.
  if (threadIdx.x == 0) slots[slot].x = sum;
  if (threadIdx.x == 40) slots[slot].y = squares;
  if constexpr (kBug != Bug::no_barrier_before_ticket) __syncthreads();
  if (threadIdx.x == 0) {
    if constexpr (kBug != Bug::no_device_fence) __threadfence();
    if constexpr (kBug == Bug::plain_ticket) {
      is_last = (*ticket)++ == gridDim.x - 1;
    } else if constexpr (kBug == Bug::ticket_read_plainly) {
      is_last = *ticket == gridDim.x - 1;
      atomicAdd(ticket, 1U);
    } else {
      is_last = atomicAdd(ticket, 1U) == gridDim.x - 1;
    }
  }
  if constexpr (kBug != Bug::flag_without_barrier) __syncthreads();
  if (!is_last) return;
  if (threadIdx.x < 2) {
    float total = 0;
    for (unsigned i = 0; i < gridDim.x; ++i) total += threadIdx.x == 0 ? slots[i].x : slots[i].y;
    out[threadIdx.x] = total;
  }
  if (threadIdx.x == 0) *ticket = 0;
}

template <Bug kBug>
bool run_sums(const Context& context) {
  constexpr int kCount = 3 * kThreadsPerBlock * kBlocks - 17;
  const std::vector<float> x = integers<float>(kCount);
  DeviceArray<float> device_x(context, x), out(context, 2);
  DeviceArray<float2> slots(context, kBlocks);
  DeviceArray<unsigned> ticket(context, std::vector<unsigned>{0});
  LaunchShape shape{.grid = dim3(kBlocks), .block = dim3(kThreadsPerBlock)};
  if constexpr (kBug == Bug::block_too_large) shape.block = dim3(33, 32);
  if constexpr (kBug == Bug::grid_empty) shape.grid = dim3(0);
  if constexpr (kBug == Bug::too_much_shared_memory) shape.shared_bytes = size_t{228} << 10;
  for (int i = 0; i < 2; ++i) {  // the ticket is ready for the next time
    launch(context, sums<kBug>, shape, out.data(), slots.data(), ticket.data(),
           static_cast<const float*>(device_x.data()), kCount);
  }
  float sum = 0, squares = 0;
  for (const float value : x) sum += value, squares += value * value;
  return out.download() == std::vector<float>{sum, squares};
}

}  // namespace

std::vector<Mutant> reduction() {
  return {
      {"sums", {}, run_sums<Bug::none>},
      {"no_barrier_after_store",
       {Defect::shared_race},
       run_sums<Bug::no_barrier_after_store>,
       {Defect::uninitialised_shared}},
      {"no_barrier_before_reuse", {Defect::shared_race}, run_sums<Bug::no_barrier_before_reuse>},
      {"reads_past_partials", {Defect::out_of_bounds_shared}, run_sums<Bug::reads_past_partials>},
      {"partial_never_written", {Defect::uninitialised_shared}, run_sums<Bug::partial_never_written>},
      {"barrier_in_branch",
       {Defect::divergent_barrier},
       run_sums<Bug::barrier_in_branch>,
       {Defect::deadlock, Defect::shared_race, Defect::uninitialised_shared}},
      {"two_barriers", {Defect::divergent_barrier}, run_sums<Bug::two_barriers>},
      {"return_before_barrier",
       {Defect::divergent_barrier},
       run_sums<Bug::return_before_barrier>,
       {Defect::divergent_collective, Defect::deadlock}},
      {"shuffle_in_branch", {Defect::divergent_collective}, run_sums<Bug::shuffle_in_branch>},
      {"shuffle_reads_absent_lane", {Defect::divergent_collective}, run_sums<Bug::shuffle_reads_absent_lane>},
      {"no_device_fence", {Defect::global_race}, run_sums<Bug::no_device_fence>},
      {"no_barrier_before_ticket", {Defect::global_race}, run_sums<Bug::no_barrier_before_ticket>},
      {"flag_without_barrier",
       {Defect::shared_race},
       run_sums<Bug::flag_without_barrier>,
       {Defect::uninitialised_shared, Defect::global_race, Defect::uninitialised_global}},
      {"plain_ticket", {Defect::global_race}, run_sums<Bug::plain_ticket>},
      {"ticket_read_plainly", {Defect::global_race}, run_sums<Bug::ticket_read_plainly>},
      {"two_blocks_one_slot",
       {Defect::global_race},
       run_sums<Bug::two_blocks_one_slot>,
       {Defect::uninitialised_global}},
      {"block_too_large", {Defect::bad_launch}, run_sums<Bug::block_too_large>},
      {"grid_empty", {Defect::bad_launch}, run_sums<Bug::grid_empty>},
      {"too_much_shared_memory", {Defect::bad_launch}, run_sums<Bug::too_much_shared_memory>},
  };
}

}  // namespace unet::kernels::gpu::mutants
