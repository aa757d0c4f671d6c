#include "kernels/cuda/device.cuh"
// After the names of its memcpy.
#include "tests/conformance/cases.h"

namespace unet::kernels::gpu {
namespace {

// Copies 16, 12, 8, 4 or 0 bytes a thread, in three groups of which it waits for the first, the second and all.
__global__ void __launch_bounds__(32) copy_async(uint32_t* out, const uint32_t* in) {  // [3][32][4] each
  auto* tile = dynamic_shared<uint32_t>();
  const int t = static_cast<int>(threadIdx.x);
  for (int group = 0; group < 3; ++group) {
    cp_async_16(tile + (group * 32 + t) * 4, in + (group * 32 + t) * 4, (t + group) % 5 * 4);
    cp_async_commit();
  }
  const auto put = [&](int group) {
    __syncwarp();
    const int other = 31 - t;
    for (int i = 0; i < 4; ++i) out[(group * 32 + t) * 4 + i] = tile[(group * 32 + other) * 4 + i];
  };
  cp_async_wait<2>();
  put(0);
  cp_async_wait<1>();
  put(1);
  cp_async_wait<0>();
  put(2);
}

template <bool kTransposed>
__global__ void __launch_bounds__(32) load_matrices(uint32_t* out, const uint32_t* in) {  // [32][4] each
  auto* tile = dynamic_shared<uint32_t>();
  for (unsigned i = threadIdx.x; i < 128; i += 32) tile[i] = in[i];
  __syncwarp();
  uint32_t r[4];
  const auto* row = tile + (threadIdx.x * 7 + 3) % 32 * 4;  // rows in no order
  if constexpr (kTransposed) {
    ldmatrix_x4_trans(r, row);
  } else {
    ldmatrix_x4(r, row);
  }
  for (int i = 0; i < 4; ++i) out[threadIdx.x * 4 + i] = r[i];
}

template <bool kTf32>
__global__ void __launch_bounds__(32) multiply(float* d, const uint32_t* a, const uint32_t* b) {  // [32][4, 4, 2]
  const unsigned t = threadIdx.x;
  const uint32_t fa[4] = {a[t * 4], a[t * 4 + 1], a[t * 4 + 2], a[t * 4 + 3]}, fb[2] = {b[t * 2], b[t * 2 + 1]};
  float sums[4] = {d[t * 4], d[t * 4 + 1], d[t * 4 + 2], d[t * 4 + 3]};
  if constexpr (kTf32) {
    mma_tf32(sums, fa, fb);
  } else {
    mma_bf16(sums, fa, fb);
  }
  for (int i = 0; i < 4; ++i) d[t * 4 + i] = sums[i];
}

__global__ void __launch_bounds__(32) convert(uint32_t* out, const uint32_t* in) {  // [2][n], [n]
  const unsigned i = blockIdx.x * 32 + threadIdx.x, n = gridDim.x * 32;
  const float x = __uint_as_float(in[i]), y = __uint_as_float(in[n - 1 - i]);
  const uint32_t rounded = to_tf32(x);
  out[i] = x == x ? rounded : 0x7fffffffU;  // which NaN a NaN becomes is nobody's business
  out[n + i] = x == x && y == y ? pack_bf16(x, y) : 0x7fff7fffU;
}

// Two pairs of warps exchange their lanes' numbers over barriers of their own.
__global__ void __launch_bounds__(128) exchange(uint32_t* out, const uint32_t* in) {  // [128] each
  UNET_SHARED(uint32_t[128], values);
  const unsigned pair = threadIdx.x / 64;
  values[threadIdx.x] = in[threadIdx.x];
  named_barrier(1 + pair, 64);
  out[threadIdx.x] = values[pair * 64 + 63 - threadIdx.x % 64];
}

__global__ void __launch_bounds__(64) shuffle_all(uint32_t* out, const uint32_t* in) {  // [8][64], [64]
  const uint32_t x = in[threadIdx.x];
  const int operand = static_cast<int>(in[0] % 32);
  const uint32_t results[] = {__shfl_sync(~0U, x, operand),
                              __shfl_up_sync(~0U, x, static_cast<unsigned>(operand)),
                              __shfl_down_sync(~0U, x, static_cast<unsigned>(operand)),
                              __shfl_xor_sync(~0U, x, operand),
                              __shfl_xor_sync(~0U, x, 5, 8),
                              __shfl_xor_sync(~0U, x, 24, 16),
                              __ballot_sync(~0U, x % 3 == 0),
                              __reduce_add_sync(~0U, x)};
  for (unsigned i = 0; i < 8; ++i) out[i * 64 + threadIdx.x] = results[i];
}

}  // namespace
}  // namespace unet::kernels::gpu

namespace unet::conformance {
namespace {

using namespace kernels::gpu;

/// Numbers as the instruction wants them: pairs of bf16, or floats of which it ignores the last 13 bits.
std::vector<uint32_t> factors(Inputs& inputs, const std::vector<float>& values, bool tf32) {
  if (!tf32) return inputs.bf16_pairs(values);
  std::vector<uint32_t> words = inputs.words(values.size());
  for (size_t i = 0; i < words.size(); ++i) {
    words[i] = (words[i] & 0x1fffU) | (std::bit_cast<uint32_t>(values[i]) & ~0x1fffU);
  }
  return words;
}

Case product(std::string name, bool tf32, bool whole) {
  // Real numbers: sums on tensor cores are truncated on the way, by less than 2^-20 of the largest term each.
  return {std::move(name), 80, whole ? 0 : 0x1p-18, [=](Inputs& inputs) {
            const auto numbers = [&](size_t n) { return whole ? inputs.whole_numbers(n) : inputs.real_numbers(n); };
            const size_t per_word = tf32 ? 1 : 2;
            const uint32_t* a = inputs.upload(factors(inputs, numbers(128 * per_word), tf32));
            const uint32_t* b = inputs.upload(factors(inputs, numbers(64 * per_word), tf32));
            float* d = inputs.upload(numbers(128));
            launch(inputs.context(), tf32 ? multiply<true> : multiply<false>, {.grid = 1, .block = 32}, d, a, b);
            return inputs.download(d, 128);
          }};
}

template <class Kernel>
Case words_to_words(std::string name, Kernel kernel, kernels::gpu::LaunchShape shape, size_t in_words,
                    size_t out_words) {
  return {std::move(name), 80, 0, [=](Inputs& inputs) {
            const uint32_t* in = inputs.upload(inputs.words(in_words));
            auto* out = inputs.allocate<uint32_t>(out_words);
            launch(inputs.context(), kernel, shape, out, in);
            return inputs.download(out, out_words);
          }};
}

}  // namespace

std::vector<Case> ampere_cases() {
  return {
      words_to_words("cp_async_16", copy_async, {.grid = 1, .block = 32, .shared_bytes = 1536}, 384, 384),
      words_to_words("ldmatrix_x4", load_matrices<false>, {.grid = 1, .block = 32, .shared_bytes = 512}, 128, 128),
      words_to_words("ldmatrix_x4_trans", load_matrices<true>, {.grid = 1, .block = 32, .shared_bytes = 512}, 128, 128),
      product("mma_bf16 of whole numbers", false, true),
      product("mma_bf16 of real numbers", false, false),
      product("mma_tf32 of whole numbers", true, true),
      product("mma_tf32 of real numbers", true, false),
      words_to_words("to_tf32 and pack_bf16", convert, {.grid = 4, .block = 32}, 128, 256),
      words_to_words("named_barrier", exchange, {.grid = 1, .block = 128}, 128, 128),
      words_to_words("shuffles", shuffle_all, {.grid = 1, .block = 64}, 64, 512)};
}

}  // namespace unet::conformance
