// Models of mbarrier against the PTX ISA.
#include "tests/emulated/tiles.h"

namespace unet::kernels::gpu {
namespace {

using emulated::Defect;
using emulated::kSchedules;
using emulated::Schedule;
using emulated::test::Device;
using emulated::test::require_defect;

// A ring of two slots between a warp that produces and one that consumes.
__global__ void __launch_bounds__(64) ring(int* out, int rounds) {
  UNET_SHARED(uint64_t[2], full);
  UNET_SHARED(uint64_t[2], empty);
  UNET_SHARED(int[2][32], slots);
  const unsigned lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; ++i) {
      mbarrier_init(&full[i], 32);
      mbarrier_init(&empty[i], 32);
    }
  }
  __syncthreads();
  for (int i = 0; i < rounds; ++i) {
    const int slot = i % 2;
    const unsigned parity = i / 2 % 2;
    if (threadIdx.x < 32) {
      mbarrier_wait(&empty[slot], parity ^ 1);  // passes at once in the first round of each slot
      slots[slot][lane] = i * 100 + static_cast<int>(lane);
      mbarrier_arrive(&full[slot]);
    } else {
      mbarrier_wait(&full[slot], parity);
      out[i * 32 + lane] = slots[slot][31 - lane];
      mbarrier_arrive(&empty[slot]);
    }
  }
}

TEST_CASE("mbarriers hand a ring of slots to and fro") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule, 90);
    int* out = device.allocate<int>(7 * 32);
    launch(device.context(), ring, {.grid = 1, .block = 64}, out, 7);
    const std::vector<int> results = device.download(out, 7 * 32);
    for (int i = 0; i < 7 * 32; ++i) CHECK(results[i] == i / 32 * 100 + 31 - i % 32);
  }
}

__global__ void __launch_bounds__(32) one_arrival_short() {
  UNET_SHARED(uint64_t, barrier);
  if (threadIdx.x == 0) mbarrier_init(&barrier, 33);
  __syncthreads();
  mbarrier_arrive(&barrier);
  mbarrier_wait(&barrier, 0);
}
__global__ void __launch_bounds__(32) one_arrival_too_many() {
  UNET_SHARED(uint64_t, barrier);
  if (threadIdx.x == 0) {
    mbarrier_init(&barrier, 1);
    mbarrier_arrive_expect(&barrier, 64);
    mbarrier_arrive(&barrier);
  }
}
__global__ void __launch_bounds__(32) no_mbarrier() {
  UNET_SHARED(uint64_t, barrier);
  if (threadIdx.x == 0) mbarrier_arrive(&barrier);
}
__global__ void __launch_bounds__(32) odd_parity() {
  UNET_SHARED(uint64_t, barrier);
  mbarrier_init(&barrier, 1);
  mbarrier_wait(&barrier, 2);
}
__global__ void __launch_bounds__(32) no_arrivals() {
  UNET_SHARED(uint64_t, barrier);
  mbarrier_init(&barrier, 0);
}

TEST_CASE("misused mbarriers are reported") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule, 90);
    const auto run = [&](void (*kernel)(), unsigned threads) {
      return [&device, kernel, threads] { launch(device.context(), kernel, {.grid = 1, .block = threads}); };
    };
    require_defect(Defect::deadlock, "lacks 1 of 33 arrivals and 0 bytes", run(one_arrival_short, 32));
    require_defect(Defect::mbarrier_arrivals, "more arrivals than the 1", run(one_arrival_too_many, 1));
    require_defect(Defect::mbarrier_uninitialised, "", run(no_mbarrier, 1));
    require_defect(Defect::bad_operand, "parity 0 or 1, got 2", run(odd_parity, 1));
    require_defect(Defect::bad_operand, "got 0", run(no_arrivals, 1));
  }
}

}  // namespace
}  // namespace unet::kernels::gpu
