// Warp operations and atomics.
#include "tests/emulated/support.h"

#include <algorithm>

namespace unet::kernels::gpu {
namespace {

using emulated::Defect;
using emulated::kSchedules;
using emulated::Schedule;
using emulated::test::Device;
using emulated::test::require_defect;

__global__ void __launch_bounds__(64) shuffles(int* out, int operand, int width) {  // [4][64]
  const int t = static_cast<int>(threadIdx.x);
  out[t] = __shfl_sync(~0U, 100 + t, operand, width);
  out[64 + t] = __shfl_up_sync(~0U, 100 + t, static_cast<unsigned>(operand), width);
  out[128 + t] = __shfl_down_sync(~0U, 100 + t, static_cast<unsigned>(operand), width);
  out[192 + t] = __shfl_xor_sync(~0U, 100 + t, operand, width);
}

TEST_CASE("shuffles follow the programming guide") {
  for (const Schedule& schedule : kSchedules) {
    for (const int width : {2, 8, 32}) {
      for (const int operand : {0, 1, 3, 5, 16}) {
        Device device(schedule);
        int* out = device.allocate<int>(256);
        launch(device.context(), shuffles, {.grid = 1, .block = 64}, out, operand, width);
        const std::vector<int> results = device.download(out, 256);
        for (int t = 0; t < 64; ++t) {
          const int segment = t / width * width, within = t % width;
          CHECK(results[t] == 100 + segment + operand % width);
          CHECK(results[64 + t] == 100 + (within < operand ? t : t - operand));
          CHECK(results[128 + t] == 100 + (within + operand >= width ? t : t + operand));
          // Lanes of earlier segments are in reach, those of later ones are not.
          const int partner = t / 32 * 32 + (t % 32 ^ operand);
          CHECK(results[192 + t] == 100 + (partner < segment + width ? partner : t));
        }
      }
    }
  }
}

__global__ void __launch_bounds__(32) wide_shuffle(double* out) {
  const double value = 1.0 + static_cast<double>(threadIdx.x) * 0x1p-40;
  out[threadIdx.x] = __shfl_xor_sync(~0U, value, 1);
}

TEST_CASE("shuffles move eight bytes") {
  Device device;
  double* out = device.allocate<double>(32);
  launch(device.context(), wide_shuffle, {.grid = 1, .block = 32}, out);
  const std::vector<double> results = device.download(out, 32);
  for (int t = 0; t < 32; ++t) CHECK(results[t] == 1.0 + (t ^ 1) * 0x1p-40);
}

// Even and odd lanes exchange values in different branches; then the first eight lanes of a partial warp do.
__global__ void __launch_bounds__(40) masked(int* out) {
  const int t = static_cast<int>(threadIdx.x);
  int value = 0;
  if (t < 32) {
    if (t % 2 == 0) {
      value = __shfl_xor_sync(0x55555555U, t, 2);
    } else {
      value = __shfl_xor_sync(0xaaaaaaaaU, t, 4) + 1000;
    }
  } else {
    value = __shfl_xor_sync(0xffU, t, 1);
  }
  out[t] = value;
}

TEST_CASE("lanes of different masks meet apart") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    int* out = device.allocate<int>(40);
    launch(device.context(), masked, {.grid = 1, .block = 40}, out);
    const std::vector<int> results = device.download(out, 40);
    for (int t = 0; t < 40; ++t) {
      CHECK(results[t] == (t >= 32 ? t ^ 1 : t % 2 == 0 ? t ^ 2 : (t ^ 4) + 1000));
    }
  }
}

__global__ void __launch_bounds__(32) votes(unsigned* out) {  // [4][32]
  const unsigned t = threadIdx.x;
  out[t] = __ballot_sync(~0U, t % 3 == 0);
  out[32 + t] = static_cast<unsigned>(__any_sync(~0U, t == 31) + 2 * __any_sync(~0U, 0));
  out[64 + t] = static_cast<unsigned>(__all_sync(~0U, 1) + 2 * __all_sync(~0U, t != 31));
  __syncwarp();
  out[96 + t] = __popc(__ballot_sync(t < 16 ? 0xffffU : 0xffff0000U, 1));
}

TEST_CASE("votes") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    unsigned* out = device.allocate<unsigned>(128);
    launch(device.context(), votes, {.grid = 1, .block = 32}, out);
    const std::vector<unsigned> results = device.download(out, 128);
    for (size_t t = 0; t < 32; ++t) {
      CHECK(results[t] == 0x49249249U);
      CHECK(results[32 + t] == 1);
      CHECK(results[64 + t] == 1);
      CHECK(results[96 + t] == 16);
    }
  }
}

__global__ void __launch_bounds__(32) reductions(int* out) {
  const int t = static_cast<int>(threadIdx.x), value = (t - 10) * 3;
  const int results[] = {__reduce_add_sync(~0U, value),
                         __reduce_min_sync(~0U, value),
                         __reduce_max_sync(~0U, value),
                         static_cast<int>(__reduce_max_sync(~0U, static_cast<unsigned>(value))),
                         static_cast<int>(__reduce_and_sync(~0U, static_cast<unsigned>(t | 64))),
                         static_cast<int>(__reduce_or_sync(~0U, static_cast<unsigned>(t))),
                         static_cast<int>(__reduce_xor_sync(~0U, static_cast<unsigned>(t < 31 ? 0 : 5)))};
  for (int i = 0; i < 7; ++i) out[i * 32 + t] = results[i];
}

TEST_CASE("reductions over a warp") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    int* out = device.allocate<int>(7 * 32);
    launch(device.context(), reductions, {.grid = 1, .block = 32}, out);
    const std::vector<int> results = device.download(out, 7 * 32);
    const int expected[] = {528, -30, 63, -3, 64, 31, 5};
    for (size_t i = 0; i < results.size(); ++i) CHECK(results[i] == expected[i / 32]);
  }
}

__global__ void __launch_bounds__(64) from_absent_lane(int* out) {
  if (threadIdx.x < 8) out[threadIdx.x] = __shfl_sync(0xffU, 1, 9);
}
__global__ void __launch_bounds__(64) outside_of_mask(int* out) {
  if (threadIdx.x < 9) out[threadIdx.x] = __shfl_sync(0xffU, 1, 0);
}
__global__ void __launch_bounds__(64) different_operations(int* out) {
  if (threadIdx.x < 3) {
    __syncwarp();
  } else if (threadIdx.x < 32) {
    out[threadIdx.x] = __any_sync(~0U, 1);
  }
}
__global__ void __launch_bounds__(64) lane_never_comes(int* out) {
  while (threadIdx.x == 5) named_barrier(4, 64);
  out[threadIdx.x] = __any_sync(~0U, 1);
}
__global__ void __launch_bounds__(64) bad_width(int* out) { out[threadIdx.x] = __shfl_sync(~0U, 1, 0, 12); }

TEST_CASE("misused warp operations are reported") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    int* out = device.allocate<int>(64);
    const auto run = [&](void (*kernel)(int*)) {
      return [&device, kernel, out] { launch(device.context(), kernel, {.grid = 1, .block = 64}, out); };
    };
    require_defect(Defect::divergent_collective, "reads lane 9", run(from_absent_lane));
    require_defect(Defect::bad_operand, "lane 8 is not in its own mask", run(outside_of_mask));
    require_defect(Defect::divergent_collective, "other lanes", run(different_operations));
    require_defect(Defect::deadlock, "a warp operation", run(lane_never_comes));
    require_defect(Defect::deadlock, "a barrier", run(lane_never_comes));
    require_defect(Defect::bad_operand, "got 12", run(bad_width));
  }
}

// --- Atomics

__global__ void __launch_bounds__(128) atomics(int* i, unsigned* u, unsigned long long* l) {
  const int t = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(i, t);
  atomicMin(i + 1, 50 - t);
  atomicMax(i + 2, t - 600);
  atomicAdd(u, 0x80000001U);
  atomicOr(u + 1, 1U << t % 32);
  atomicAnd(u + 2, ~(1U << t % 16));
  atomicXor(u + 3, static_cast<unsigned>(t));
  atomicAdd(l, 1ULL << 40);
  atomicMin(l + 1, (1ULL << 50) - static_cast<unsigned long long>(t));
  for (unsigned old = atomicOr(u + 4, 0U), seen; (seen = atomicCAS(u + 4, old, old + 2)) != old;) old = seen;
}
__global__ void __launch_bounds__(128) exchange(unsigned* cell, unsigned* seen) {
  seen[threadIdx.x] = atomicExch(cell, threadIdx.x + 1);
}

TEST_CASE("atomics combine what all threads bring") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    int* i = device.upload(std::vector<int>{0, 0, -10000});
    unsigned* u = device.upload(std::vector<unsigned>{0, 0, ~0U, 0, 0, 0});
    auto* l = device.upload(std::vector<unsigned long long>{0, ~0ULL});
    unsigned* seen = device.allocate<unsigned>(128);
    launch(device.context(), exchange, {.grid = 1, .block = 128}, u + 5, seen);
    const std::vector<unsigned> order = device.download(seen, 128);
    std::vector<bool> taken(129, false);
    for (const unsigned value : order) taken[value] = true;
    CHECK(std::count(taken.begin(), taken.end(), true) == 128);  // all but the last are seen by another thread

    launch(device.context(), atomics, {.grid = 4, .block = 128}, i, u, l);
    CHECK(device.download(i, 3) == std::vector<int>{512 * 511 / 2, 50 - 511, 511 - 600});
    CHECK(device.download(u, 5) == std::vector<unsigned>{512, ~0U, 0xffff0000U, 0, 1024});
    CHECK(device.download(l, 2) == std::vector<unsigned long long>{512ULL << 40, (1ULL << 50) - 511});
  }
}

}  // namespace
}  // namespace unet::kernels::gpu
