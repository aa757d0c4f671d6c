// Launches, schedules, shared memory, barriers.
#include "tests/emulated/support.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace unet::kernels::gpu {
namespace {

using emulated::Completion;
using emulated::Defect;
using emulated::kSchedules;
using emulated::Order;
using emulated::Schedule;
using emulated::test::Device;
using emulated::test::findings_of;
using emulated::test::require_defect;

// --- Every thread runs once and knows its place

__global__ void __launch_bounds__(1024) count_visits(int* visits) {  // [grid z][grid y][grid x][z][y][x]
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  visits[block * (blockDim.x * blockDim.y * blockDim.z) + thread] += 1;
}

TEST_CASE("each thread of each block runs once, on every schedule") {
  const dim3 shapes[][2] = {{1, 1}, {7, 33}, {{3, 5, 2}, {5, 3, 4}}, {{2, 1, 3}, {1, 1, 64}}, {2, 1024}};
  for (const Schedule& schedule : kSchedules) {
    for (const auto& [grid, block] : shapes) {
      Device device(schedule);
      const auto count = static_cast<size_t>(grid.count() * block.count());
      int* visits = device.upload(std::vector<int>(count, 0));
      launch(device.context(), count_visits, {.grid = grid, .block = block}, visits);
      INFO(schedule.name() << ", " << grid.count() << " blocks of " << block.count());
      CHECK(device.download(visits, count) == std::vector<int>(count, 1));
    }
  }
}

// --- Schedules

__global__ void __launch_bounds__(256) take_tickets(int* ticket, int* order, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const int at = atomicAdd(ticket, 1);
    order[at] = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    __syncthreads();
  }
}

/// The threads of a grid of 3 x 96 threads in the order in which they come to each of two points.
std::vector<int> order_of(const Schedule& schedule) {
  Device device(schedule);
  int* ticket = device.upload(std::vector<int>{0});
  int* order = device.allocate<int>(2 * 3 * 96);
  launch(device.context(), take_tickets, {.grid = 3, .block = 96}, ticket, order, 2);
  return device.download(order, 2 * 3 * 96);
}

TEST_CASE("schedules differ, and each is the same every time") {
  std::set<std::vector<int>> orders;
  for (const Schedule& schedule : kSchedules) {
    const std::vector<int> order = order_of(schedule);
    CHECK(order == order_of(schedule));
    orders.insert(order);
  }
  CHECK(orders.size() == std::size(kSchedules));
  Schedule reseeded = kSchedules[2];
  reseeded.seed += 1;
  CHECK(order_of(reseeded) != order_of(kSchedules[2]));
}

TEST_CASE("plain schedules go through blocks and threads up and down") {
  const std::vector<int> up = order_of({.order = Order::ascending}), down = order_of({.order = Order::descending});
  for (int block = 0; block < 3; ++block) {
    for (int i = 0; i < 96; ++i) {
      CHECK(up[block * 192 + i] == block * 96 + i);
      CHECK(down[block * 192 + i] == (2 - block) * 96 + 95 - i);
    }
  }
}

TEST_CASE("with warp priorities a warp may finish before another starts") {
  bool found = false;
  for (uint64_t seed = 1; seed <= 8 && !found; ++seed) {
    Device device({.order = Order::priority, .seed = seed});
    int* ticket = device.upload(std::vector<int>{0});
    int* order = device.allocate<int>(64);
    launch(device.context(), take_tickets, {.grid = 1, .block = 64}, ticket, order, 1);
    const std::vector<int> first = device.download(order, 32);
    found = std::all_of(first.begin(), first.end(), [](int t) { return t >= 32; });
  }
  CHECK(found);
}

// --- Launch shapes

__global__ void __launch_bounds__(1024) nothing() {}

__global__ void __launch_bounds__(32) much_static_memory(float* out) {
  UNET_SHARED(float[32768], a);
  UNET_SHARED(float[8192], b);
  a[threadIdx.x] = b[threadIdx.x] = 1;
  out[threadIdx.x] = a[threadIdx.x] + b[threadIdx.x];
}

TEST_CASE("a launch that no device takes is reported with its line") {
  Device device;
  const auto refused = [&](const LaunchShape& shape, const std::string& text) {
    require_defect(Defect::bad_launch, text, [&] { launch(device.context(), nothing, shape); });
    require_defect(Defect::bad_launch, "scheduler_test.cu:", [&] { launch(device.context(), nothing, shape); });
  };
  refused({.grid = 1, .block = 1025}, "got 1025 x 1 x 1");
  refused({.grid = 1, .block = 0}, "got 0 x 1 x 1");
  refused({.grid = 1, .block = {1, 1, 65}}, "got 1 x 1 x 65");
  refused({.grid = 0, .block = 1}, "got 0 x 1 x 1");
  refused({.grid = {1, 65536, 1}, .block = 1}, "got 1 x 65536 x 1");
  refused({.grid = 1, .block = 1, .shared_bytes = (163 << 10) + 1}, "expected at most 166912 bytes");
  launch(device.context(), nothing, {.grid = {1, 65535, 1}, .block = 1, .shared_bytes = 163 << 10});

  float* out = device.allocate<float>(32);
  const LaunchShape shape{.grid = 1, .block = 32, .shared_bytes = 3073};
  require_defect(Defect::bad_launch, "got 166913", [&] { launch(device.context(), much_static_memory, shape, out); });
  device.state().set_capability(90);
  launch(device.context(), much_static_memory, shape, out);
}

// --- Shared memory

struct alignas(32) Wide {
  double values[5];
};

__global__ void __launch_bounds__(64) inspect_shared(unsigned* record, int dynamic_bytes) {
  UNET_SHARED(float[3], small);
  UNET_SHARED(Wide, wide);
  UNET_SHARED(char[5], odd);
  const auto* dynamic = dynamic_shared<unsigned char>();
  if (threadIdx.x != 0) return;
  record[0] = shared_address(small);
  record[1] = shared_address(&wide);
  record[2] = shared_address(odd);
  record[3] = shared_address(dynamic);
  record[4] = static_cast<unsigned>(dynamic_bytes);
}

TEST_CASE("objects in shared memory are apart and aligned, and dynamic memory is where the schedule puts it") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    unsigned* record = device.allocate<unsigned>(5);
    launch(device.context(), inspect_shared, {.grid = 1, .block = 64, .shared_bytes = 100}, record, 100);
    const std::vector<unsigned> at = device.download(record, 5);
    CHECK(at[0] % 4 == 0);
    CHECK(at[1] % 32 == 0);
    CHECK(at[3] % 1024 == schedule.base_shift);
    std::vector<std::pair<unsigned, unsigned>> ranges{{at[0], 12}, {at[1], 64}, {at[2], 5}, {at[3], 100}};
    std::sort(ranges.begin(), ranges.end());
    for (size_t i = 1; i < ranges.size(); ++i) CHECK(ranges[i - 1].first + ranges[i - 1].second <= ranges[i].first);
  }
}

template <int kSize>
__device__ float& counter() {
  UNET_SHARED(float, value);
  return value;
}

__global__ void __launch_bounds__(32) use_counters(float* out) {
  if (threadIdx.x == 0) counter<1>() = 1;
  if (threadIdx.x == 1) counter<2>() = 2;
  __syncthreads();
  if (threadIdx.x == 2) *out = counter<1>() + 10 * counter<2>();
}

TEST_CASE("shared memory belongs to a declaration, in each instantiation of a template its own") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    float* out = device.allocate<float>(1);
    launch(device.context(), use_counters, {.grid = 1, .block = 32}, out);
    CHECK(device.download(out, 1)[0] == 21);
  }
}

__global__ void __launch_bounds__(32) expose_shared(const float** static_memory, const float** dynamic_memory) {
  UNET_SHARED(float[2], values);
  *static_memory = values;
  *dynamic_memory = dynamic_shared<float>();
}

// The kernel only tells where its memory lies: reading what was not written is a defect of its own.
TEST_CASE("shared memory starts as NaN in every block") {
  Device device;
  auto** pointers = device.allocate<const float*>(2);
  launch(device.context(), expose_shared, {.grid = 1, .block = 1, .shared_bytes = 8}, pointers, pointers + 1);
  for (const float* values : device.download(pointers, 2)) {
    CHECK(std::isnan(values[0]));
    CHECK(std::isnan(values[1]));
  }
}

// --- Barriers

__global__ void __launch_bounds__(256) inclusive_scan(int* data) {
  UNET_SHARED(int[2][256], buffer);
  const unsigned t = threadIdx.x;
  buffer[0][t] = data[t];
  int current = 0;
  for (unsigned step = 1; step < blockDim.x; step *= 2) {
    __syncthreads();
    buffer[1 - current][t] = buffer[current][t] + (t >= step ? buffer[current][t - step] : 0);
    current = 1 - current;
  }
  data[t] = buffer[current][t];
}

TEST_CASE("a barrier of the block holds all of its threads") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    std::vector<int> values(200), sums(200);
    for (int i = 0; i < 200; ++i) values[i] = i * 7 % 11;
    std::partial_sum(values.begin(), values.end(), sums.begin());
    int* data = device.upload(values);
    launch(device.context(), inclusive_scan, {.grid = 1, .block = 200}, data);
    CHECK(device.download(data, 200) == sums);
  }
}

__global__ void __launch_bounds__(96) count_threads(int* out) {
  const int t = static_cast<int>(threadIdx.x);
  out[t] = __syncthreads_count(t % 3 == 0);
  out[96 + t] = __syncthreads_or(t == 95);
  out[192 + t] = __syncthreads_or(0);
  out[288 + t] = __syncthreads_and(1);
  out[384 + t] = __syncthreads_and(t != 50);
}

TEST_CASE("barriers that count, and, or") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    int* out = device.allocate<int>(5 * 96);
    launch(device.context(), count_threads, {.grid = 1, .block = 96}, out);
    const std::vector<int> results = device.download(out, 5 * 96);
    const int expected[] = {32, 1, 0, 1, 0};
    for (size_t i = 0; i < results.size(); ++i) CHECK(results[i] == expected[i / 96]);
  }
}

// Two halves of the block, each with its own barrier, hand values down a different number of steps.
__global__ void __launch_bounds__(128) halves(int* out) {
  UNET_SHARED(int[128], values);
  const unsigned half = threadIdx.x / 64, t = threadIdx.x % 64;
  int* mine = values + 64 * half;
  mine[t] = static_cast<int>(t);
  for (unsigned step = 0; step < 3 + 4 * half; ++step) {
    named_barrier(1 + half, 64);
    const int next = mine[(t + 1) % 64];
    named_barrier(1 + half, 64);
    mine[t] = next;
  }
  out[threadIdx.x] = mine[t];
}

TEST_CASE("named barriers hold the threads they name") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    int* out = device.allocate<int>(128);
    launch(device.context(), halves, {.grid = 1, .block = 128}, out);
    const std::vector<int> results = device.download(out, 128);
    for (int t = 0; t < 128; ++t) CHECK(results[t] == (t + (t < 64 ? 3 : 7)) % 64);
  }
}

__global__ void __launch_bounds__(128) wait_for_more() { named_barrier(3, 128); }
__global__ void __launch_bounds__(128) odd_count() { named_barrier(3, 48); }
__global__ void __launch_bounds__(128) two_barriers() {
  if (threadIdx.x < 64) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void __launch_bounds__(128) some_leave() {
  if (threadIdx.x == 77) return;
  __syncthreads();
}
__global__ void __launch_bounds__(128) no_such_barrier() { named_barrier(16, 128); }

TEST_CASE("misused barriers are reported, and the device goes on working") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    const auto run = [&](void (*kernel)()) {
      return [&device, kernel] { launch(device.context(), kernel, {.grid = 2, .block = 96}); };
    };
    require_defect(Defect::deadlock, "96 of 96 threads", run(wait_for_more));
    require_defect(Defect::deadlock, "a barrier", run(wait_for_more));
    require_defect(Defect::bad_operand, "multiple of 32", run(odd_count));
    require_defect(Defect::divergent_barrier, "barrier 0", run(two_barriers));
    require_defect(Defect::divergent_barrier, "ended", run(some_leave));
    require_defect(Defect::bad_operand, "number 0 to 15, got 16", run(no_such_barrier));
    run(nothing)();
  }
}

}  // namespace
}  // namespace unet::kernels::gpu
