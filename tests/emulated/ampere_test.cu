// Models of cp.async, ldmatrix, stmatrix and mma.sync against the PTX ISA, whose formulas and figures are written out
// here once more.
#include "tests/emulated/support.h"

#include <bit>
#include <random>

#include "kernels/cuda/sm90/ptx.cuh"

namespace unet::kernels::gpu {
namespace {

using emulated::Completion;
using emulated::Defect;
using emulated::kSchedules;
using emulated::Schedule;
using emulated::test::Device;
using emulated::test::require_defect;

// --- cp.async

// Each thread copies 16 bytes of its own three times, in three groups, and keeps what it finds after each wait.
__global__ void __launch_bounds__(32) copy_in_groups(uint32_t* out, const uint32_t* in) {  // out [3][32], in [3][32][4]
  auto* tile = dynamic_shared<uint32_t>();                                                 // [3][32][4]
  const unsigned t = threadIdx.x;
  for (unsigned i = 0; i < 3; ++i) {
    cp_async_16(tile + (i * 32 + t) * 4, in + (i * 32 + t) * 4, i == 1 ? 4 : 16);
    cp_async_commit();
  }
  cp_async_wait<2>();
  out[t] = tile[t * 4 + 3];
  cp_async_wait<1>();
  out[32 + t] = tile[(32 + t) * 4] + tile[(32 + t) * 4 + 1];  // the second word is filled with zero
  cp_async_commit();                                          // an empty group
  cp_async_wait<1>();
  out[64 + t] = tile[(64 + t) * 4 + 2];
  cp_async_wait<0>();
}

TEST_CASE("cp.async copies, fills with zero and finishes by groups") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    std::vector<uint32_t> in(3 * 32 * 4);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint32_t>(i * i);
    uint32_t* out = device.allocate<uint32_t>(96);
    launch(device.context(), copy_in_groups, {.grid = 1, .block = 32, .shared_bytes = 1536}, out, device.upload(in));
    const std::vector<uint32_t> results = device.download(out, 96);
    for (size_t t = 0; t < 32; ++t) {
      CHECK(results[t] == in[t * 4 + 3]);
      CHECK(results[32 + t] == in[(32 + t) * 4]);
      CHECK(results[64 + t] == in[(64 + t) * 4 + 2]);
    }
  }
}

__global__ void __launch_bounds__(32) copy_from(const unsigned char* in, unsigned to, int bytes) {
  cp_async_16(dynamic_shared() + to, in, bytes);
  cp_async_commit();
  cp_async_wait<0>();
}
__global__ void __launch_bounds__(32) copy_and_leave(const unsigned char* in) { cp_async_16(dynamic_shared(), in, 16); }

TEST_CASE("misused cp.async is reported") {
  Device device;
  const auto* in = device.upload(std::vector<unsigned char>(64, 1));
  const LaunchShape shape{.grid = 1, .block = 1, .shared_bytes = 64};
  const auto copy = [&](const unsigned char* from, unsigned to, int bytes) {
    return [&device, shape, from, to, bytes] { launch(device.context(), copy_from, shape, from, to, bytes); };
  };
  copy(in + 48, 48, 16)();
  copy(in, 0, 0)();
  require_defect(Defect::misaligned, "aligned to 16", copy(in + 8, 0, 16));
  require_defect(Defect::misaligned, "aligned to 16", copy(in, 4, 16));
  require_defect(Defect::bad_operand, "0 to 16 bytes, got 17", copy(in, 0, 17));
  require_defect(Defect::out_of_bounds_shared, "cp.async", copy(in, 64, 16));
  require_defect(Defect::out_of_bounds_global, "", copy(in + 64, 0, 16));
  require_defect(Defect::unfinished_at_exit, "cp.async", [&] { launch(device.context(), copy_and_leave, shape, in); });
}

// --- ldmatrix, stmatrix

__global__ void __launch_bounds__(32) load_matrices(uint32_t* plain, uint32_t* transposed) {  // [4][32] each
  auto* tile = dynamic_shared<uint16_t>();                                                    // [32][8]
  for (unsigned i = threadIdx.x; i < 256; i += 32) tile[i] = static_cast<uint16_t>(i / 8 * 16 + i % 8);
  __syncwarp();
  uint32_t r[4];
  ldmatrix_x4(r, tile + threadIdx.x * 8);
  for (unsigned i = 0; i < 4; ++i) plain[i * 32 + threadIdx.x] = r[i];
  ldmatrix_x4_trans(r, tile + threadIdx.x * 8);
  for (unsigned i = 0; i < 4; ++i) transposed[i * 32 + threadIdx.x] = r[i];
}

TEST_CASE("ldmatrix hands out fragments of 8 x 8 matrices") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    uint32_t *plain = device.allocate<uint32_t>(128), *transposed = device.allocate<uint32_t>(128);
    launch(device.context(), load_matrices, {.grid = 1, .block = 32, .shared_bytes = 512}, plain, transposed);
    const std::vector<uint32_t> p = device.download(plain, 128), q = device.download(transposed, 128);
    // Element (row, column) of matrix m is 128*m + 16*row + column. By hand, from the figures of the PTX ISA:
    CHECK(p[0] == 0x00010000U);            // matrix 0, lane 0: (0,0) and (0,1)
    CHECK(p[5] == 0x00130012U);            // lane 5: (1,2), (1,3)
    CHECK(p[31] == 0x00770076U);           // lane 31: (7,6), (7,7)
    CHECK(p[2 * 32 + 14] == 0x01350134U);  // matrix 2, lane 14: (3,4), (3,5)
    CHECK(q[0] == 0x00100000U);            // transposed, lane 0: (0,0), (1,0)
    CHECK(q[5] == 0x00310021U);            // lane 5: (2,1), (3,1)
    CHECK(q[31] == 0x00770067U);           // lane 31: (6,7), (7,7)
    CHECK(q[3 * 32 + 14] == 0x01d301c3U);  // matrix 3, lane 14: (4,3), (5,3)
  }
}

__global__ void __launch_bounds__(32) store_matrices(uint32_t* out) {  // [4][32]
  auto* tile = dynamic_shared<unsigned char>();
  uint32_t r[4];
  for (unsigned i = 0; i < 4; ++i) r[i] = (i << 8 | threadIdx.x) * 0x10001U + 0x80000000U;
  stmatrix_x4_trans(tile + threadIdx.x * 16, r);
  __syncwarp();
  ldmatrix_x4_trans(r, tile + threadIdx.x * 16);
  for (unsigned i = 0; i < 4; ++i) out[i * 32 + threadIdx.x] = r[i];
}

TEST_CASE("stmatrix is the inverse of ldmatrix") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule, 90);
    uint32_t* out = device.allocate<uint32_t>(128);
    launch(device.context(), store_matrices, {.grid = 1, .block = 32, .shared_bytes = 512}, out);
    const std::vector<uint32_t> results = device.download(out, 128);
    for (uint32_t i = 0; i < 128; ++i) CHECK(results[i] == (i / 32 << 8 | i % 32) * 0x10001U + 0x80000000U);
  }
}

__global__ void __launch_bounds__(32) load_at(unsigned offset) {
  uint32_t r[4];
  ldmatrix_x4(r, dynamic_shared() + offset);
}
__global__ void __launch_bounds__(32) half_a_warp_loads() {
  uint32_t r[4];
  if (threadIdx.x < 16) return;
  ldmatrix_x4(r, dynamic_shared());
}

TEST_CASE("misused ldmatrix is reported") {
  Device device;
  const LaunchShape shape{.grid = 1, .block = 32, .shared_bytes = 512};
  require_defect(Defect::misaligned, "ldmatrix", [&] { launch(device.context(), load_at, shape, 8U); });
  require_defect(Defect::out_of_bounds_shared, "", [&] { launch(device.context(), load_at, shape, 512U); });
  require_defect(Defect::divergent_collective, "expected all 32 lanes, got 16",
                 [&] { launch(device.context(), half_a_warp_loads, shape); });
}

// --- mma.sync

__global__ void __launch_bounds__(32) multiply_bf16(float* d, const uint32_t* a, const uint32_t* b) {
  float sums[4];
  for (unsigned i = 0; i < 4; ++i) sums[i] = d[threadIdx.x * 4 + i];
  const unsigned t = threadIdx.x;
  mma_bf16(sums, {a[t * 4], a[t * 4 + 1], a[t * 4 + 2], a[t * 4 + 3]}, {b[t * 2], b[t * 2 + 1]});
  for (unsigned i = 0; i < 4; ++i) d[threadIdx.x * 4 + i] = sums[i];
}
__global__ void __launch_bounds__(32) multiply_tf32(float* d, const uint32_t* a, const uint32_t* b) {
  float sums[4];
  for (unsigned i = 0; i < 4; ++i) sums[i] = d[threadIdx.x * 4 + i];
  const unsigned t = threadIdx.x;
  mma_tf32(sums, {a[t * 4], a[t * 4 + 1], a[t * 4 + 2], a[t * 4 + 3]}, {b[t * 2], b[t * 2 + 1]});
  for (unsigned i = 0; i < 4; ++i) d[threadIdx.x * 4 + i] = sums[i];
}

/// Whole numbers from -8 to 8, exact in every type.
std::vector<float> small_numbers(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random() % 17) - 8;
  return values;
}

/// d[m][n] + sum_k a[m][k] b[k][n]
std::vector<float> product(std::vector<float> d, const std::vector<float>& a, const std::vector<float>& b, int m, int n,
                           int k) {
  for (int i = 0; i < m * n; ++i) {
    for (int j = 0; j < k; ++j) d[i] += a[i / n * k + j] * b[j * n + i % n];
  }
  return d;
}

// Rows and columns of the fragments as the PTX ISA gives them for each element, "Matrix Fragments for mma.m16n8k16" and
// "mma.m16n8k8" with .tf32.
TEST_CASE("mma.sync multiplies 16 x 16 by 16 x 8 of bf16") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    const std::vector<float> a = small_numbers(256, 1), b = small_numbers(128, 2), c = small_numbers(128, 3);
    std::vector<uint32_t> fa(128), fb(64);
    std::vector<float> fc(128);
    for (unsigned lane = 0; lane < 32; ++lane) {
      const unsigned group = lane >> 2, member = lane % 4;
      for (unsigned i = 0; i < 8; ++i) {
        const unsigned row = i < 2 || (4 <= i && i < 6) ? group : group + 8;
        const unsigned column = i < 4 ? member * 2 + (i & 1) : member * 2 + (i & 1) + 8;
        fa[lane * 4 + i / 2] |= uint32_t{bf16(a[row * 16 + column]).bits} << 16 * (i % 2);
      }
      for (unsigned i = 0; i < 4; ++i) {
        const unsigned row = i < 2 ? member * 2 + (i & 1) : member * 2 + (i & 1) + 8;
        fb[lane * 2 + i / 2] |= uint32_t{bf16(b[row * 8 + group]).bits} << 16 * (i % 2);
        fc[lane * 4 + i] = c[(i < 2 ? group : group + 8) * 8 + member * 2 + (i & 1)];
      }
    }
    float* d = device.upload(fc);
    launch(device.context(), multiply_bf16, {.grid = 1, .block = 32}, d, device.upload(fa), device.upload(fb));
    const std::vector<float> results = device.download(d, 128), expected = product(c, a, b, 16, 8, 16);
    for (unsigned lane = 0; lane < 32; ++lane) {
      for (unsigned i = 0; i < 4; ++i) {
        CHECK(results[lane * 4 + i] == expected[((i < 2 ? 0 : 8) + lane / 4) * 8 + lane % 4 * 2 + i % 2]);
      }
    }
  }
}

TEST_CASE("mma.sync multiplies 16 x 8 by 8 x 8 of tf32, and ignores the bits below") {
  for (const Schedule& schedule : kSchedules) {
    Device device(schedule);
    const std::vector<float> a = small_numbers(128, 1), b = small_numbers(64, 2), c = small_numbers(128, 3);
    std::vector<uint32_t> fa(128), fb(64);
    std::vector<float> fc(128);
    for (unsigned lane = 0; lane < 32; ++lane) {
      const unsigned group = lane >> 2, member = lane % 4;
      for (unsigned i = 0; i < 4; ++i) {
        const unsigned row = i == 0 || i == 2 ? group : group + 8, column = i < 2 ? member : member + 4;
        fa[lane * 4 + i] = std::bit_cast<uint32_t>(a[row * 8 + column]) | 0x1fffU;
        fc[lane * 4 + i] = c[(i < 2 ? group : group + 8) * 8 + member * 2 + (i & 1)];
      }
      for (unsigned i = 0; i < 2; ++i) {
        fb[lane * 2 + i] = std::bit_cast<uint32_t>(b[(i == 0 ? member : member + 4) * 8 + group]) | 0x1000U;
      }
    }
    float* d = device.upload(fc);
    launch(device.context(), multiply_tf32, {.grid = 1, .block = 32}, d, device.upload(fa), device.upload(fb));
    const std::vector<float> results = device.download(d, 128), expected = product(c, a, b, 16, 8, 8);
    for (unsigned lane = 0; lane < 32; ++lane) {
      for (unsigned i = 0; i < 4; ++i) {
        CHECK(results[lane * 4 + i] == expected[((i < 2 ? 0 : 8) + lane / 4) * 8 + lane % 4 * 2 + i % 2]);
      }
    }
  }
}

TEST_CASE("conversions round as the instructions do") {
  CHECK(to_tf32(1.0F) == 0x3f800000U);
  CHECK(to_tf32(std::bit_cast<float>(0x3f800fffU)) == 0x3f800000U);
  CHECK(to_tf32(std::bit_cast<float>(0x3f801000U)) == 0x3f802000U);  // a tie goes away from zero
  CHECK(to_tf32(std::bit_cast<float>(0xbf801000U)) == 0xbf802000U);
  CHECK(to_tf32(std::bit_cast<float>(0x3f803000U)) == 0x3f804000U);
  CHECK(to_tf32(std::bit_cast<float>(0x7f7fffffU)) == 0x7f800000U);
  CHECK(to_tf32(std::bit_cast<float>(0xff800000U)) == 0xff800000U);
  CHECK((to_tf32(std::bit_cast<float>(0x7fc00000U)) & 0x7fffffffU) > 0x7f800000U);
  CHECK(pack_bf16(1.0F, -2.0F) == 0xc0003f80U);
  CHECK(pack_bf16(std::bit_cast<float>(0x3f808000U), std::bit_cast<float>(0x3f818000U)) ==
        0x3f823f80U);  // ties to even
}

}  // namespace
}  // namespace unet::kernels::gpu
