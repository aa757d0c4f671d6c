// The emulated device: memory, order of the work, captured graphs, errors.
#include "tests/emulated/support.h"

namespace unet::kernels::gpu {
namespace {

using emulated::State;
using emulated::test::Device;

__global__ void __launch_bounds__(64) add(float* data, float value) { data[threadIdx.x] += value; }
__global__ void __launch_bounds__(64) reject(unsigned long long* record, int64_t n, int64_t h, int64_t w) {
  report_bad_pixel(record, n, h, w + static_cast<int64_t>(threadIdx.x));
}

TEST_CASE("a captured graph does its work when replayed, every time, on the same addresses") {
  Device device;
  std::vector<float> input(64, 1.0F);
  float* data = device.upload(input);
  State& state = device.state();
  CHECK(state.can_capture());
  const int64_t before = state.launches();

  state.begin_capture();
  state.upload(data, input.data(), 64 * sizeof(float));
  launch(device.context(), add, {.grid = 1, .block = 64}, data, 2.0F);
  state.clear(data, 32 * sizeof(float));
  launch(device.context(), add, {.grid = 1, .block = 64}, data, 10.0F);
  CHECK_THROWS_AS(state.synchronize(), ConfigError);
  CHECK_THROWS_AS(state.begin_capture(), ConfigError);
  const std::unique_ptr<CapturedGraph> graph = state.end_capture();

  CHECK(state.launches() == before);
  CHECK(device.download(data, 64) == std::vector<float>(64, 1.0F));
  for (const float value : {1.0F, 5.0F}) {
    std::fill(input.begin(), input.end(), value);
    state.replay(*graph);
    std::vector<float> expected(64, 10.0F);
    std::fill(expected.begin() + 32, expected.end(), value + 12.0F);
    CHECK(device.download(data, 64) == expected);
  }
  CHECK(state.launches() == before + 4);
  CHECK_THROWS_AS(state.end_capture(), ConfigError);
}

TEST_CASE("a replayed launch is checked") {
  Device device;
  float* data = device.allocate<float>(64);  // not written
  device.state().begin_capture();
  launch(device.context(), add, {.grid = 1, .block = 64}, data, 2.0F);
  const auto graph = device.state().end_capture();
  CHECK_THROWS_AS(device.state().replay(*graph), emulated::KernelDefect);
}

TEST_CASE("a bad pixel is reported once, the first in order of images and rows") {
  Device device;
  unsigned long long* record = bad_pixel(device.context());
  device.state().synchronize();
  launch(device.context(), reject, {.grid = 1, .block = 64}, record, 3, 700, 5);
  launch(device.context(), reject, {.grid = 1, .block = 64}, record, 2, 70000, 9);
  try {
    device.state().synchronize();
    FAIL("no error");
  } catch (const DataError& error) {
    CHECK_THAT(error.what(), Catch::Matchers::Contains("image 2, row 70000, column 9"));
  }
  device.state().synchronize();
  launch(device.context(), reject, {.grid = 1, .block = 64}, record, 0, 0, 0);
  float value;
  CHECK_THROWS_AS(device.state().download(&value, record, sizeof value), DataError);
}

TEST_CASE("device memory is committed up to a limit") {
  State state;
  state.set_memory(size_t{1} << 20);
  auto space = state.reserve(size_t{4} << 20);
  const size_t before = state.info().free_bytes;
  CHECK(state.info().total_bytes == size_t{1} << 20);
  CHECK(space->commit(0, size_t{512} << 10));
  CHECK(state.info().free_bytes == before - (size_t{512} << 10));
  CHECK_FALSE(space->commit(size_t{512} << 10, size_t{2} << 20));
  CHECK(state.info().free_bytes == before - (size_t{512} << 10));
  space->decommit(0, size_t{256} << 10);
  CHECK(state.info().free_bytes == before - (size_t{256} << 10));
  space.reset();
  CHECK(state.info().free_bytes == before);
}

TEST_CASE("an address space may outlive its state") {
  std::unique_ptr<AddressSpace> space;
  {
    State state;
    space = state.reserve(1 << 20);
    CHECK(space->commit(0, space->size()));
  }
  space->base()[5] = 1;
  space->decommit(0, space->size());
}

TEST_CASE("what a block holds when it is handed out is NaN") {
  Device device;
  const std::vector<float> values = device.download(device.allocate<float>(100), 100);
  for (const float value : values) CHECK(std::isnan(value));
}

TEST_CASE("the device is what the test says") {
  Device device;
  CHECK(device_info(device.context()).capability == 80);
  CHECK(device_info(device.context()).shared_bytes_per_block == size_t{163} << 10);
  device.state().set_capability(90);
  device.state().set_multiprocessors(7);
  CHECK(device_info(device.context()).capability == 90);
  CHECK(device_info(device.context()).multiprocessors == 7);
  CHECK(device.state().info().shared_bytes_per_block == size_t{227} << 10);
}

TEST_CASE("a context without the emulated target's state is refused") {
  Context context;
  context.target = Target::emulated;
  CHECK_THROWS_AS(emulated::state_of(context), ConfigError);
}

}  // namespace
}  // namespace unet::kernels::gpu
