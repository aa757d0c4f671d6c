// Models of mbarrier, TMA and wgmma against the PTX ISA.
#include "tests/emulated/support.h"

#include <bit>
#include <random>

#include "kernels/cuda/sm90/ptx.cuh"

namespace unet::kernels::gpu {
namespace {

using emulated::Defect;
using emulated::kSchedules;
using emulated::Schedule;
using emulated::test::Device;
using emulated::test::require_defect;

/// The first address of the dynamic shared memory that is aligned to 1024, as swizzled tiles want it.
__device__ unsigned char* aligned_tile() {
  unsigned char* p = dynamic_shared();
  return p + (1024 - shared_address(p) % 1024) % 1024;
}

// --- mbarrier

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

// --- TMA

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

/// Where row `row`, byte `byte` of a tile lies: the 16-byte pieces of a 128-byte line are exchanged by the line's
/// number modulo 8, 4 or 2 (CUDA Driver API, CUtensorMapSwizzle).
unsigned place(unsigned row, unsigned byte, unsigned swizzle_bytes, unsigned row_bytes) {
  if (swizzle_bytes == 0) return row * row_bytes + byte;
  const unsigned at = row * swizzle_bytes + byte, line = at / 128;
  const unsigned piece = at / 16 % 8 ^ line % 8 % (swizzle_bytes / 16);
  return line * 128 + piece * 16 + at % 16;
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

// --- wgmma

struct Operand {
  uint64_t descriptor;  // without its address
  unsigned bytes;
};

// Two products with depth 32 bytes each, the second added to the first; the tiles of both steps follow each other.
template <int kN, bool kTf32>
__global__ void __launch_bounds__(128) multiply(float* out, const unsigned char* a, const unsigned char* b, Operand ao,
                                                Operand bo) {  // out [64][kN]
  unsigned char* tile = aligned_tile();
  for (unsigned i = threadIdx.x; i < 2 * ao.bytes; i += 128) tile[i] = a[i];
  unsigned char* tile_b = tile + (2 * ao.bytes + 1023) / 1024 * 1024;
  for (unsigned i = threadIdx.x; i < 2 * bo.bytes; i += 128) tile_b[i] = b[i];
  fence_proxy_async();
  __syncthreads();
  float d[kN / 2];
  wgmma_fence();
  for (unsigned step = 0; step < 2; ++step) {
    const uint64_t da = ao.descriptor | (shared_address(tile) + step * ao.bytes) >> 4;
    const uint64_t db = bo.descriptor | (shared_address(tile_b) + step * bo.bytes) >> 4;
    if constexpr (kTf32) {
      wgmma_tf32<kN>(d, da, db, step > 0);
    } else {
      wgmma_bf16<kN>(d, da, db, step > 0);
    }
  }
  wgmma_commit();
  wgmma_wait<0>();
  // PTX ISA, "WGMMA .m64nNk16 register fragment layout for accumulator matrix D"
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (unsigned i = 0; i < kN / 2; ++i) {
    const unsigned row = 16 * warp + lane / 4 + (i % 4 < 2 ? 0 : 8), column = 8 * (i / 4) + lane % 4 * 2 + (i & 1);
    out[row * kN + column] = d[i];
  }
}

/// The bytes of one 32-byte deep step of a K-major matrix of `rows` rows, and its descriptor. Rows are grouped by
/// eight: a core matrix of 8 x 16 bytes is contiguous without a swizzle, and otherwise 8 rows of the swizzle's length
/// are.
template <class T>
Operand place_operand(std::vector<unsigned char>& bytes, const std::vector<float>& values, unsigned rows,
                      unsigned depth, unsigned step, unsigned swizzle_bytes) {
  const unsigned row_bytes = swizzle_bytes == 0 ? 32 : swizzle_bytes, per_step = 32 / sizeof(T);
  Operand operand{0, (rows * row_bytes + 1023) / 1024 * 1024};
  bytes.resize(2 * operand.bytes);
  for (unsigned row = 0; row < rows; ++row) {
    for (unsigned k = 0; k < per_step; ++k) {
      const unsigned byte = k * sizeof(T);
      const unsigned at = swizzle_bytes == 0 ? row / 8 * 256 + byte / 16 * 128 + row % 8 * 16 + byte % 16
                                             : place(row, byte, swizzle_bytes, row_bytes);
      const T value = values[row * depth + step * per_step + k];
      std::memcpy(&bytes[step * operand.bytes + at], &value, sizeof value);
    }
  }
  const uint64_t mode = swizzle_bytes == 128 ? 1 : swizzle_bytes == 64 ? 2 : swizzle_bytes == 32 ? 3 : 0;
  const uint64_t leading = swizzle_bytes == 0 ? 128 : 16, stride = swizzle_bytes == 0 ? 256 : 8 * swizzle_bytes;
  operand.descriptor = leading / 16 << 16 | stride / 16 << 32 | mode << 62;
  return operand;
}

template <int kN, class T>
void check_product(const Schedule& schedule, unsigned swizzle_a, unsigned swizzle_b) {
  const unsigned depth = 2 * 32 / sizeof(T);
  std::mt19937 random(kN + swizzle_a);
  std::vector<float> a(64 * depth), b(kN * depth);
  for (float& x : a) x = static_cast<float>(random() % 17) - 8;
  for (float& x : b) x = static_cast<float>(random() % 17) - 8;
  std::vector<unsigned char> bytes_a, bytes_b;
  Operand oa{}, ob{};
  for (unsigned step = 0; step < 2; ++step) {
    oa = place_operand<T>(bytes_a, a, 64, depth, step, swizzle_a);
    ob = place_operand<T>(bytes_b, b, kN, depth, step, swizzle_b);
  }
  Device device(schedule, 90);
  float* out = device.allocate<float>(64 * kN);
  launch(device.context(), multiply<kN, sizeof(T) == 4>,
         {.grid = 1, .block = 128, .shared_bytes = 2048 + bytes_a.size() + bytes_b.size()}, out, device.upload(bytes_a),
         device.upload(bytes_b), oa, ob);
  const std::vector<float> results = device.download(out, 64 * kN);
  for (unsigned m = 0; m < 64; ++m) {
    for (unsigned n = 0; n < kN; ++n) {
      float sum = 0;
      for (unsigned k = 0; k < depth; ++k) sum += a[m * depth + k] * b[n * depth + k];
      REQUIRE(results[m * kN + n] == sum);
    }
  }
}

TEST_CASE("wgmma multiplies bf16 and tf32 of every swizzle") {
  for (const Schedule& schedule : kSchedules) {
    for (const unsigned swizzle : {0U, 32U, 64U, 128U}) {
      check_product<64, bf16>(schedule, swizzle, 128);
      check_product<128, bf16>(schedule, 128, swizzle);
      check_product<64, float>(schedule, 128, swizzle);
      check_product<128, float>(schedule, swizzle, 128);
    }
    check_product<256, bf16>(schedule, 128, 128);
    check_product<256, float>(schedule, 128, 128);
  }
}

__global__ void __launch_bounds__(128) reads_outside(uint64_t descriptor) {
  float d[32];
  wgmma_fence();
  wgmma_bf16<64>(d, descriptor, descriptor, false);
  wgmma_commit();
  wgmma_wait<0>();
}
__global__ void __launch_bounds__(128) leaves_its_product() {
  float d[32];
  unsigned char* tile = aligned_tile();
  for (unsigned i = threadIdx.x; i < 8192; i += 128) tile[i] = 0;
  fence_proxy_async();
  __syncthreads();
  wgmma_fence();
  wgmma_bf16<64>(d, matrix_descriptor(tile), matrix_descriptor(tile), false);
  wgmma_commit();
}
__global__ void __launch_bounds__(384) too_many_registers() {
  if (threadIdx.x < 128) {
    lower_registers<40>();
  } else {
    raise_registers<240>();
  }
}
__global__ void __launch_bounds__(384) moves_registers() {
  if (threadIdx.x < 128) {
    lower_registers<40>();
  } else {
    raise_registers<232>();
  }
}

TEST_CASE("misused wgmma and setmaxnreg are reported") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule, 90);
    const LaunchShape shape{.grid = 1, .block = 128, .shared_bytes = 9216};
    require_defect(Defect::out_of_bounds_shared, "row 0 of a",
                   [&] { launch(device.context(), reads_outside, shape, uint64_t{1} << 62); });
    require_defect(Defect::bad_operand, "expected a warpgroup of 128 threads", [&] {
      launch(device.context(), reads_outside, {.grid = 1, .block = 96, .shared_bytes = 9216}, uint64_t{1} << 62);
    });
    require_defect(Defect::unfinished_at_exit, "wgmma", [&] { launch(device.context(), leaves_its_product, shape); });
    require_defect(Defect::bad_operand, "take 520 registers of 504",
                   [&] { launch(device.context(), too_many_registers, {.grid = 1, .block = 384}); });
    launch(device.context(), moves_registers, {.grid = 1, .block = 384});
  }
}

__global__ void __launch_bounds__(96) elections(int* out) { out[threadIdx.x] = elect_one() ? 1 : 0; }

TEST_CASE("one thread of each warp is elected") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule, 90);
    int* out = device.allocate<int>(96);
    launch(device.context(), elections, {.grid = 1, .block = 96}, out);
    const std::vector<int> results = device.download(out, 96);
    for (int warp = 0; warp < 3; ++warp) {
      CHECK(std::count(results.begin() + warp * 32, results.begin() + warp * 32 + 32, 1) == 1);
    }
  }
}

}  // namespace
}  // namespace unet::kernels::gpu
