// Models of wgmma and of what comes with it against the PTX ISA.
#include "tests/emulated/tiles.h"

#include <algorithm>
#include <random>

namespace unet::kernels::gpu {
namespace {

using emulated::Defect;
using emulated::kSchedules;
using emulated::Schedule;
using emulated::test::Device;
using emulated::test::require_defect;

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
    check_product<8, bf16>(schedule, 128, 0);
    check_product<176, float>(schedule, 128, 128);
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
