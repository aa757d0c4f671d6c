// Models of TMA against the PTX ISA and the CUDA driver API.
#include "tests/emulated/tiles.h"

#include <bit>

namespace unet::kernels::gpu {
namespace {

using emulated::Defect;
using emulated::kSchedules;
using emulated::Schedule;
using emulated::test::Device;
using emulated::test::require_defect;

struct At {
  int c[5];
};

__global__ void __launch_bounds__(32)
    load_box(const __grid_constant__ TensorMap map, At at, unsigned bytes, unsigned char* out) {
  UNET_SHARED(uint64_t, barrier);
  unsigned char* tile = aligned_tile();
  if (threadIdx.x == 0) {
    mbarrier_init(&barrier, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(&barrier, bytes);
    emulated::tma_load(tile, &map, &barrier, at.c, map.rank, emulated::Site::here());
  }
  __syncthreads();
  mbarrier_wait(&barrier, 0);
  for (unsigned i = threadIdx.x; i < bytes; i += 32) out[i] = tile[i];
}

struct Tensor {
  int rank;
  uint64_t size[5], stride[5];
  uint32_t box[5];
  int element_bytes;
  bool tf32 = false;
};

/// Bytes of the tensor in memory, element i filled with the value i.
template <class T>
std::vector<T> numbered(const Tensor& tensor) {
  const uint64_t last = tensor.rank - 1;
  const uint64_t bytes = last == 0 ? tensor.size[0] * sizeof(T) : tensor.size[last] * tensor.stride[last];
  std::vector<T> values(bytes / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(i + 1);
  return values;
}

template <class T>
void check_load(const Schedule& schedule, const Tensor& tensor, unsigned swizzle_bytes, const At& at) {
  Device device(schedule, 90);
  const std::vector<T> values = numbered<T>(tensor);
  const T* data = device.upload(values);
  const auto map = emulated::make_tensor_map(data, sizeof(T), tensor.tf32, tensor.rank, tensor.size, tensor.stride,
                                             tensor.box, swizzle_bytes);
  const unsigned row_bytes = tensor.box[0] * sizeof(T);
  unsigned rows = 1;
  for (int i = 1; i < tensor.rank; ++i) rows *= tensor.box[i];
  const unsigned bytes = rows * row_bytes;
  REQUIRE((swizzle_bytes == 0 || row_bytes == swizzle_bytes));  // so that the tile has no gaps
  auto* out = device.allocate<unsigned char>(bytes);
  launch(device.context(), load_box, {.grid = 1, .block = 32, .shared_bytes = bytes + 1024}, map, at, bytes, out);
  const std::vector<unsigned char> tile = device.download(out, bytes);
  for (unsigned row = 0; row < rows; ++row) {
    for (unsigned e = 0; e < tensor.box[0]; ++e) {
      bool inside = at.c[0] + static_cast<int64_t>(e) >= 0 &&
                    at.c[0] + static_cast<int64_t>(e) < static_cast<int64_t>(tensor.size[0]);
      int64_t index = at.c[0] + static_cast<int64_t>(e);
      unsigned rest = row;
      for (int i = 1; i < tensor.rank; ++i) {
        const int64_t c = at.c[i] + static_cast<int64_t>(rest % tensor.box[i]);
        rest /= tensor.box[i];
        inside = inside && c >= 0 && c < static_cast<int64_t>(tensor.size[i]);
        index += c * static_cast<int64_t>(tensor.stride[i] / sizeof(T));
      }
      T value;
      std::memcpy(&value, &tile[place(row, e * sizeof(T), swizzle_bytes, row_bytes)], sizeof value);
      REQUIRE(value == (inside ? values[static_cast<size_t>(index)] : T{0}));
    }
  }
}

TEST_CASE("TMA loads boxes of one to five dimensions, zero outside of the tensor") {
  for (const Schedule& schedule : kSchedules) {
    const Tensor line{1, {100}, {0}, {64}, 2};
    const Tensor image{2, {24, 9}, {0, 64}, {16, 5}, 2};  // rows with a gap behind
    const Tensor volume{3, {20, 5, 4}, {0, 48, 240}, {8, 3, 2}, 2};
    const Tensor batch{4, {32, 6, 5, 2}, {0, 64, 384, 1920}, {32, 4, 3, 1}, 2};
    const Tensor five{5, {8, 3, 4, 2, 3}, {0, 16, 48, 192, 384}, {8, 2, 2, 2, 2}, 2};
    for (const int c : {0, 50, -3, 97}) check_load<uint16_t>(schedule, line, 0, {{c}});
    for (const int c : {0, 13, -7}) check_load<uint16_t>(schedule, image, 0, {{c, 6}});
    for (const int c : {-1, 1, 3}) check_load<uint16_t>(schedule, volume, 0, {{5, c, c}});
    for (const int c : {-1, 0, 4}) check_load<uint16_t>(schedule, batch, 64, {{c, c, -c, 1}});
    for (const int c : {-1, 0, 1}) check_load<uint16_t>(schedule, five, 0, {{0, c, c, c, c}});
    check_load<uint16_t>(schedule, batch, 64, {{0, 0, 0, 2}});  // all of it outside
  }
}

TEST_CASE("TMA swizzles rows of 32, 64 and 128 bytes") {
  // By hand: 16-byte piece 5 of row 3 of a 128-byte tile lies at 5 ^ 3 = 6; with rows of 64 bytes, row 5 is the second
  // half of line 2, so its piece 1, number 5 of the line, lies at 5 ^ 2 = 7; of 32 bytes, row 6 is in line 1.
  CHECK(emulated::swizzle(3 * 128 + 5 * 16 + 4, 128) == 3 * 128 + 6 * 16 + 4);
  CHECK(emulated::swizzle(5 * 64 + 16, 64) == 2 * 128 + 7 * 16);
  CHECK(emulated::swizzle(6 * 32, 32) == 1 * 128 + 5 * 16);
  CHECK(emulated::swizzle(777, 0) == 777);
  for (const Schedule& schedule : kSchedules) {
    check_load<float>(schedule, {2, {8, 40}, {0, 32}, {8, 40}, 4}, 32, {{0, 0}});
    check_load<float>(schedule, {2, {16, 40}, {0, 64}, {16, 40}, 4}, 64, {{1, 2}});
    check_load<float>(schedule, {2, {32, 40}, {0, 128}, {32, 40}, 4}, 128, {{-1, -2}});
  }
}

TEST_CASE("TMA rounds to tf32, to nearest even") {
  Device device(kSchedules[0], 90);
  const std::vector<uint32_t> in{0x3f800fff, 0x3f801000, 0x3f801001, 0x3f803000, 0xbf801000, 0x7f800000, 0xff800000, 0};
  const uint64_t size[] = {8}, stride[] = {0};
  const uint32_t box[] = {8};
  const auto map = emulated::make_tensor_map(device.upload(in), 4, true, 1, size, stride, box, 0);
  auto* out = device.allocate<uint32_t>(8);
  launch(device.context(), load_box, {.grid = 1, .block = 32, .shared_bytes = 2048}, map, At{}, 32U,
         reinterpret_cast<unsigned char*>(out));
  CHECK(device.download(out, 8) ==
        std::vector<uint32_t>{0x3f800000, 0x3f800000, 0x3f802000, 0x3f804000, 0xbf800000, 0x7f800000, 0xff800000, 0});
}

__global__ void __launch_bounds__(32) store_box(const __grid_constant__ TensorMap map, At at, unsigned bytes) {
  unsigned char* tile = aligned_tile();
  for (unsigned i = threadIdx.x; i < bytes / 2; i += 32)
    reinterpret_cast<uint16_t*>(tile)[i] = static_cast<uint16_t>(i);
  fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    tma_store_4d(&map, tile, at.c[0], at.c[1], at.c[2], at.c[3]);
    tma_store_commit();
    tma_store_wait_read<0>();
    for (unsigned i = 0; i < bytes; ++i) tile[i] = 0;  // has been read
    tma_store_wait<0>();
  }
}

TEST_CASE("TMA stores what lies in the tensor") {
  for (const Schedule& schedule : kSchedules) {
    const uint64_t size[] = {40, 6, 5, 2}, stride[] = {0, 96, 576, 2880};
    const uint32_t box[] = {64, 3, 2, 1};
    Device device(schedule, 90);
    std::vector<uint16_t> memory(2880, 7777);
    auto* data = device.upload(memory);
    const auto map = emulated::make_tensor_map(data, 2, false, 4, size, stride, box, 128);
    const At at{{-8, 4, -1, 1}};
    launch(device.context(), store_box, {.grid = 1, .block = 32, .shared_bytes = 6 * 128 + 1024}, map, at, 6U * 128);
    for (unsigned row = 0; row < 6; ++row) {
      for (int e = 0; e < 64; ++e) {
        const int c = e - 8, w = 4 + static_cast<int>(row % 3), h = -1 + static_cast<int>(row / 3);
        if (c < 0 || c >= 40 || w >= 6 || h < 0) continue;
        memory[static_cast<size_t>(1440 + h * 288 + w * 48 + c)] =
            static_cast<uint16_t>(place(row, static_cast<unsigned>(e) * 2, 128, 128) / 2);
      }
    }
    CHECK(device.download(data, memory.size()) == memory);
  }
}

__global__ void __launch_bounds__(32)
    wrong_bytes(const __grid_constant__ TensorMap map, unsigned bytes, int tile_offset) {
  UNET_SHARED(uint64_t, barrier);
  mbarrier_init(&barrier, 1);
  mbarrier_init_fence();
  mbarrier_arrive_expect(&barrier, bytes);
  tma_load_2d(aligned_tile() + tile_offset, &map, &barrier, 0, 0);
  mbarrier_wait(&barrier, 0);
}
__global__ void __launch_bounds__(32) never_waits(const __grid_constant__ TensorMap map) {
  UNET_SHARED(uint64_t, barrier);
  mbarrier_init(&barrier, 1);
  mbarrier_init_fence();
  mbarrier_arrive_expect(&barrier, 1024);
  tma_load_2d(aligned_tile(), &map, &barrier, 0, 0);
}
__global__ void __launch_bounds__(32) leaves_its_store(const __grid_constant__ TensorMap map) {
  unsigned char* tile = aligned_tile();
  for (int i = 0; i < 1024; ++i) tile[i] = 1;
  fence_proxy_async();
  const int at[] = {0, 0};
  emulated::tma_store(&map, tile, at, 2, emulated::Site::here());
  tma_store_commit();
}

TEST_CASE("misused TMA is reported") {
  Schedule late = kSchedules[0];
  late.completion = emulated::Completion::late;
  Device device(late, 90);
  const uint64_t size[] = {32, 8}, stride[] = {0, 128};
  const uint32_t box[] = {32, 8};
  const auto* data = device.upload(std::vector<float>(256, 1.0F));
  const auto map = emulated::make_tensor_map(data, 4, false, 2, size, stride, box, 128);
  const LaunchShape shape{.grid = 1, .block = 1, .shared_bytes = 4096};
  const auto load = [&](unsigned bytes, int offset) {
    return [&device, &map, shape, bytes, offset] { launch(device.context(), wrong_bytes, shape, map, bytes, offset); };
  };
  load(1024, 0)();
  load(1024, 1024)();
  require_defect(Defect::deadlock, "lacks 0 of 1 arrivals and 16 bytes", load(1040, 0));
  require_defect(Defect::deadlock, "lacks 0 of 1 arrivals and -16 bytes", load(1008, 0));
  require_defect(Defect::misaligned, "aligned to 128", load(1024, 64));
  require_defect(Defect::misaligned, "aligned to 1024", load(1024, 512));
  require_defect(Defect::out_of_bounds_shared, "", load(1024, 4096));
  require_defect(Defect::unfinished_at_exit, "TMA load", [&] { launch(device.context(), never_waits, shape, map); });
  require_defect(Defect::unfinished_at_exit, "TMA store",
                 [&] { launch(device.context(), leaves_its_store, shape, map); });
}

TEST_CASE("tensor maps that the driver refuses") {
  alignas(16) static const float data[4] = {};
  const auto make = [](const void* base, uint64_t size, uint64_t stride, uint32_t columns, uint32_t rows) {
    const uint64_t sizes[] = {size, 8}, strides[] = {0, stride};
    const uint32_t box[] = {columns, rows};
    return emulated::make_tensor_map(base, 4, false, 2, sizes, strides, box, 128);
  };
  CHECK_NOTHROW(make(data, 32, 128, 32, 8));
  CHECK_THROWS_AS(make(data + 1, 32, 128, 32, 8), DeviceError);
  CHECK_THROWS_AS(make(data, 32, 120, 32, 8), DeviceError);
  CHECK_THROWS_AS(make(data, 32, 128, 36, 8), DeviceError);
  CHECK_THROWS_AS(make(data, 32, 128, 30, 8), DeviceError);
  CHECK_THROWS_AS(make(data, 32, 128, 32, 257), DeviceError);
  CHECK_THROWS_AS(make(data, 32, 128, 32, 0), DeviceError);
  CHECK_THROWS_AS(make(data, 0, 128, 32, 8), DeviceError);
}

}  // namespace
}  // namespace unet::kernels::gpu
