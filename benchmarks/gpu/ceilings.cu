// Every kernel runs long enough that launching it costs nothing, and ends in a store that the compiler cannot leave out
// and that never happens.
#include "benchmarks/gpu/ceilings.h"

#include <algorithm>

#include "benchmarks/gpu/recorded_work.h"
#include "kernels/cuda/sm90/ptx.cuh"

namespace unet::benchmarks {
namespace {

using namespace kernels::gpu;
using kernels::Context;
using kernels::Scratch;

constexpr int kThreads = 256;

// Ordinary numbers: zeros would draw less power.
__global__ __launch_bounds__(kThreads) void fill_numbers(float4* to, int64_t count) {
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += step) {
    const auto bits = static_cast<uint32_t>(i) * 2654435761U;
    to[i] = {static_cast<float>(bits >> 8), static_cast<float>(bits & 0xffff), -static_cast<float>(bits >> 16), 0.5F};
  }
}

// One thread copies 16 bytes at a time, a grid's width apart.
__global__ __launch_bounds__(kThreads) void copy(const float4* from, float4* to, int64_t count) {
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += step) to[i] = from[i];
}

// Every block reads the whole buffer, each from another place on.
__global__ __launch_bounds__(kThreads) void read_again(const float4* from, int count, int rounds, float* sink) {
  float sum = 0;
  const int begin = static_cast<int>(int64_t{blockIdx.x} * count / gridDim.x) / kThreads * kThreads;
  for (int round = 0; round < rounds; ++round) {
#pragma unroll 8
    for (int i = 0; i < count; i += kThreads) {
      int place = begin + i + static_cast<int>(threadIdx.x);
      if (place >= count) place -= count;
      float4 v;
      v = __ldcg(from + place);  // past the L1 cache
      sum += v.x + v.y + v.z + v.w;
    }
  }
  if (sum == -1.0F) *sink = sum;
}

constexpr int kChains = 16;

// Sixteen independent chains of multiply-adds a thread.
__global__ __launch_bounds__(kThreads) void multiply_add(float a, float b, int rounds, float* sink) {
  float value[kChains];
#pragma unroll
  for (int i = 0; i < kChains; ++i) value[i] = static_cast<float>(threadIdx.x + i);
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) value[i] = value[i] * a + b;
  }
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kChains; ++i) sum += value[i];
  if (sum == -1.0F) *sink = sum;
}

constexpr int kTiles = 8;

// Eight independent accumulator tiles a warp; fragments hold ordinary numbers, zeros would draw less power.
template <bool kBf16>
__global__ __launch_bounds__(kThreads) void mma(int rounds, float* sink) {
  uint32_t a[4], b[kTiles][2];
  const float number = 0.5F + 0.37F * static_cast<float>(threadIdx.x % 32);
#pragma unroll
  for (int i = 0; i < 4; ++i) a[i] = kBf16 ? pack_bf16(number, -number / (i + 1)) : to_tf32(number / (i + 1));
#pragma unroll
  for (int i = 0; i < kTiles; ++i) {
#pragma unroll
    for (int j = 0; j < 2; ++j)
      b[i][j] = kBf16 ? pack_bf16(-number, number / (i + j + 2)) : to_tf32(j - number / (i + 1));
  }
  float sum[kTiles][4] = {};
  for (int round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      if constexpr (kBf16) {
        mma_bf16(sum[i], a, b[i]);
      } else {
        mma_tf32(sum[i], a, b[i]);
      }
    }
  }
  float total = 0;
#pragma unroll
  for (int i = 0; i < kTiles; ++i) total += sum[i][0] + sum[i][1] + sum[i][2] + sum[i][3];
  if (total == -1.0F) *sink = total;
}

constexpr int kWarpgroups = 2;
constexpr int kOperandBytes = (64 + 256) * 128 + 1024;  // rows of a and of b, and room to align them

// Two warpgroups a block, each a tile of 64 x 256, operands in shared memory.
template <bool kBf16>
__global__ __launch_bounds__(128 * kWarpgroups, 1) void wgmma(int rounds, float* sink) {
#if UNET_SM90
  auto* base = dynamic_shared<unsigned char>();
  base += (1024 - shared_address(base) % 1024) % 1024;
  auto* words = reinterpret_cast<uint32_t*>(base);
  for (int i = static_cast<int>(threadIdx.x); i < (64 + 256) * 32; i += 128 * kWarpgroups) {
    const float number = 0.03F * static_cast<float>(i % 61 - 30) + 0.01F;
    words[i] = kBf16 ? pack_bf16(number, -number) : to_tf32(number);
  }
  fence_proxy_async();
  __syncthreads();
  const uint64_t a = matrix_descriptor(base), b = matrix_descriptor(base + 64 * 128);
  float sum[128] = {};
  for (int round = 0; round < rounds; ++round) {
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if constexpr (kBf16) {
        wgmma_bf16<256>(sum, a + 2 * k, b + 2 * k, true);
      } else {
        wgmma_tf32<256>(sum, a + 2 * k, b + 2 * k, true);
      }
    }
    wgmma_commit();
    wgmma_wait<1>();
  }
  wgmma_wait<0>();
  keep_in_registers(sum);
  float total = 0;
#pragma unroll
  for (int i = 0; i < 128; ++i) total += sum[i];
  if (total == -1.0F) *sink = total;
#endif
}

double best_seconds(const Context& context, const std::function<void()>& run) {
  const cudaStream_t stream = kernels::cuda::state_of(context).stream();
  run();
  double best = event_ms(stream, run);
  for (int i = 1; i < 10; ++i) best = std::min(best, event_ms(stream, run));
  return best / 1000;
}

}  // namespace

Ceilings measure_ceilings(const Context& context) {
  const auto& device = device_info(context);
  const auto sms = static_cast<unsigned>(device.multiprocessors);
  Ceilings ceilings;
  const Scratch<float> sink_memory(*context.workspace, 1);
  float* sink = sink_memory.data();
  {
    constexpr int64_t count = int64_t{32} << 20;  // 512 MiB from here to there
    const Scratch<float4> from(*context.workspace, count), to(*context.workspace, count);
    launch(context, fill_numbers, {8 * sms, kThreads}, from.data(), count);
    const double seconds = best_seconds(context, [&] {
      launch(context, copy, {8 * sms, kThreads}, from.data(), to.data(), count);
    });
    ceilings.copy_tbps = 2e-12 * static_cast<double>(count * sizeof(float4)) / seconds;

    constexpr int kept = (16 << 20) / sizeof(float4), rounds = 4;
    const double l2_seconds = best_seconds(context, [&] {
      launch(context, read_again, {8 * sms, kThreads}, from.data(), kept, rounds, sink);
    });
    ceilings.l2_tbps = 1e-12 * rounds * 8.0 * sms * static_cast<double>(kept * sizeof(float4)) / l2_seconds;
  }
  {
    constexpr int rounds = 1 << 14;
    const double seconds = best_seconds(context, [&] {
      launch(context, multiply_add, {8 * sms, kThreads}, 0.999F, 0.001F, rounds, sink);
    });
    ceilings.ffma_tflops = 2e-12 * rounds * kChains * kThreads * 8.0 * sms / seconds;
  }
  {
    constexpr int rounds = 1 << 12;
    const double tiles = 8.0 * sms * kThreads / 32 * kTiles * rounds;
    ceilings.mma_bf16_tflops = 1e-12 * tiles * 2 * 16 * 8 * 16 / best_seconds(context, [&] {
                                 launch(context, mma<true>, {8 * sms, kThreads}, rounds, sink);
                               });
    ceilings.mma_tf32_tflops = 1e-12 * tiles * 2 * 16 * 8 * 8 / best_seconds(context, [&] {
                                 launch(context, mma<false>, {8 * sms, kThreads}, rounds, sink);
                               });
  }
  ceilings.bf16_tflops = ceilings.mma_bf16_tflops;
  ceilings.tf32_tflops = ceilings.mma_tf32_tflops;
  if (kHasSm90Code && device.capability == 90) {
    constexpr int rounds = 1 << 13;
    const double steps = 4.0 * rounds * kWarpgroups * sms;
    const LaunchShape shape{sms, 128 * kWarpgroups, kOperandBytes};
    const double bf16 = best_seconds(context, [&] { launch(context, wgmma<true>, shape, rounds, sink); });
    const double tf32 = best_seconds(context, [&] { launch(context, wgmma<false>, shape, rounds, sink); });
    ceilings.bf16_tflops = std::max(ceilings.bf16_tflops, 1e-12 * steps * 2 * 64 * 256 * 16 / bf16);
    ceilings.tf32_tflops = std::max(ceilings.tf32_tflops, 1e-12 * steps * 2 * 64 * 256 * 8 / tf32);
  }
  return ceilings;
}

}  // namespace unet::benchmarks
