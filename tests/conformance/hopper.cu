#include "kernels/cuda/sm90/ptx.cuh"
#include "tests/conformance/cases.h"

namespace unet::kernels::gpu {
namespace {

#if UNET_SM90
__device__ __forceinline__ unsigned char* aligned_tile() {
  unsigned char* p = dynamic_shared();
  return p + (1024 - shared_address(p) % 1024) % 1024;
}
#endif

// Loads a box at each of four places and writes the tiles out, word by word.
template <int kRank>
__global__ void __launch_bounds__(32) load_boxes(uint32_t* out, const __grid_constant__ TensorMap map,
                                                 unsigned tile_words) {  // [4][tile_words]
#if UNET_SM90
  UNET_SHARED(uint64_t, barrier);
  auto* tile = reinterpret_cast<uint32_t*>(aligned_tile());
  if (threadIdx.x == 0) {
    mbarrier_init(&barrier, 1);
    mbarrier_init_fence();
  }
  __syncthreads();
  for (int i = 0; i < 4; ++i) {
    if (threadIdx.x == 0) {
      mbarrier_arrive_expect(&barrier, tile_words * 4);
      if constexpr (kRank == 2) {
        tma_load_2d(tile, &map, &barrier, i * 5 - 4, i * 3 - 2);
      } else {
        tma_load_4d(tile, &map, &barrier, i * 5 - 4, i - 1, 2 - i, i % 3);
      }
    }
    mbarrier_wait(&barrier, static_cast<unsigned>(i % 2));
    for (unsigned w = threadIdx.x; w < tile_words; w += 32) out[static_cast<unsigned>(i) * tile_words + w] = tile[w];
    fence_proxy_async();  // the next box overwrites what was read
    __syncthreads();
  }
#endif
}

// Stores a tile of random words at two places, one of them partly outside of the tensor.
__global__ void __launch_bounds__(32)
    store_boxes(const uint32_t* in, const __grid_constant__ TensorMap map, unsigned tile_words) {
#if UNET_SM90
  auto* tile = reinterpret_cast<uint32_t*>(aligned_tile());
  for (unsigned w = threadIdx.x; w < tile_words; w += 32) tile[w] = in[w];
  fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    tma_store_4d(&map, tile, 0, 0, 0, 0);
    tma_store_commit();
    tma_store_4d(&map, tile, 4, -1, 3, 1);
    tma_store_commit();
    tma_store_wait_read<1>();
    tma_store_wait_read<0>();
    tma_store_wait<0>();
  }
#endif
}

// Two steps along K: tiles of 128-byte rows, of which each product takes 32 bytes.
template <int kN, bool kTf32>
__global__ void __launch_bounds__(128) multiply(float* out, const uint32_t* a, const uint32_t* b) {  // out [128][kN/2]
#if UNET_SM90
  auto* tile_a = reinterpret_cast<uint32_t*>(aligned_tile());
  uint32_t* tile_b = tile_a + 64 * 32;
  for (unsigned i = threadIdx.x; i < 64 * 32; i += 128) tile_a[i] = a[i];
  for (unsigned i = threadIdx.x; i < kN * 32; i += 128) tile_b[i] = b[i];
  fence_proxy_async();
  __syncthreads();
  float d[kN / 2];
  for (int i = 0; i < kN / 2; ++i) d[i] = 0;
  wgmma_fence();
  for (unsigned step = 0; step < 2; ++step) {
    const uint64_t da = matrix_descriptor(tile_a) + step * 2, db = matrix_descriptor(tile_b) + step * 2;
    if constexpr (kTf32) {
      wgmma_tf32<kN>(d, da, db, step > 0);
    } else {
      wgmma_bf16<kN>(d, da, db, step > 0);
    }
    wgmma_commit();
  }
  keep_in_registers(d);
  wgmma_wait<1>();
  wgmma_wait<0>();
  keep_in_registers(d);
  for (int i = 0; i < kN / 2; ++i) out[threadIdx.x * (kN / 2) + i] = d[i];
#endif
}

__global__ void __launch_bounds__(32) store_matrices(uint32_t* out, const uint32_t* in) {  // [32][4] each
#if UNET_SM90
  auto* tile = dynamic_shared<uint32_t>();
  const uint32_t r[4] = {in[threadIdx.x * 4], in[threadIdx.x * 4 + 1], in[threadIdx.x * 4 + 2],
                         in[threadIdx.x * 4 + 3]};
  stmatrix_x4_trans(tile + (threadIdx.x * 7 + 3) % 32 * 4, r);
  __syncwarp();
  for (unsigned i = threadIdx.x; i < 128; i += 32) out[i] = tile[i];
#endif
}

// A ring of one slot between a warpgroup that has given registers away and one of two that have taken them.
__global__ void __launch_bounds__(384, 1) hand_over(uint32_t* out, const uint32_t* in, int rounds) {  // [rounds][128]
#if UNET_SM90
  UNET_SHARED(uint64_t[2], barriers);  // full, empty
  UNET_SHARED(uint32_t[128], slot);
  const unsigned t = threadIdx.x % 128;
  if (threadIdx.x < 32 && elect_one()) {
    mbarrier_init(&barriers[0], 128);
    mbarrier_init(&barriers[1], 128);
  }
  __syncthreads();
  if (threadIdx.x < 128) {
    lower_registers<40>();
    for (int i = 0; i < rounds; ++i) {
      mbarrier_wait(&barriers[1], static_cast<unsigned>(i % 2 ^ 1));
      slot[t] = in[i * 128 + static_cast<int>(t)];
      mbarrier_arrive(&barriers[0]);
    }
  } else {
    raise_registers<232>();
    if (threadIdx.x >= 256) return;
    for (int i = 0; i < rounds; ++i) {
      mbarrier_wait(&barriers[0], static_cast<unsigned>(i % 2));
      out[i * 128 + static_cast<int>(t)] = slot[127 - t] + static_cast<uint32_t>(i);
      mbarrier_arrive(&barriers[1]);
    }
  }
#endif
}

__global__ void __launch_bounds__(96) elect(uint32_t* out) {  // [3]: how many of each warp
#if UNET_SM90
  const bool elected = elect_one();
  const unsigned ballot = __ballot_sync(~0U, elected);
  if (threadIdx.x % 32 == 0) out[threadIdx.x / 32] = static_cast<uint32_t>(__popc(ballot));
#endif
}

}  // namespace
}  // namespace unet::kernels::gpu

namespace unet::conformance {
namespace {

using namespace kernels::gpu;

constexpr size_t kTileRoom = 1024;  // to align a tile in

Case load_2d(std::string name, bool tf32) {
  return {std::move(name), 90, 0, [=](Inputs& inputs) {
            // 30 columns of 32 in memory, 11 rows; real numbers, as all bits may be a NaN, which rounding may change.
            const float* in = inputs.upload(inputs.real_numbers(11 * 32));
            const TensorMap map = make_tensor_map({.base = in,
                                                   .element_bytes = 4,
                                                   .tf32 = tf32,
                                                   .rank = 2,
                                                   .size = {30, 11},
                                                   .stride = {0, 128},
                                                   .box = {32, 10}});
            constexpr unsigned kWords = 32 * 10;
            auto* out = inputs.allocate<uint32_t>(4 * kWords);
            launch(inputs.context(), load_boxes<2>, {.grid = 1, .block = 32, .shared_bytes = kTileRoom + kWords * 4},
                   out, map, kWords);
            return inputs.download(out, 4 * kWords);
          }};
}

/// A tensor of bf16 in `data`: [2][5][6][48 of 64] elements.
TensorMap bf16_map(const uint32_t* data) {
  return make_tensor_map({.base = data,
                          .element_bytes = 2,
                          .tf32 = false,
                          .rank = 4,
                          .size = {48, 6, 5, 2},
                          .stride = {0, 128, 768, 3840},
                          .box = {64, 3, 2, 1}});
}
constexpr size_t kTensorWords = 2 * 3840 / 4;
constexpr unsigned kBoxWords = 6 * 32;

Case load_4d() {
  return {"tma_load_4d", 90, 0, [](Inputs& inputs) {
            const TensorMap map = bf16_map(inputs.upload(inputs.words(kTensorWords)));
            auto* out = inputs.allocate<uint32_t>(4 * kBoxWords);
            launch(inputs.context(), load_boxes<4>, {.grid = 1, .block = 32, .shared_bytes = kTileRoom + kBoxWords * 4},
                   out, map, kBoxWords);
            return inputs.download(out, 4 * kBoxWords);
          }};
}

Case store_4d() {
  return {"tma_store_4d", 90, 0, [](Inputs& inputs) {
            uint32_t* data = inputs.upload(std::vector<uint32_t>(kTensorWords, 0x12345678U));
            launch(inputs.context(), store_boxes, {.grid = 1, .block = 32, .shared_bytes = kTileRoom + kBoxWords * 4},
                   inputs.upload(inputs.words(kBoxWords)), bf16_map(data), kBoxWords);
            return inputs.download(data, kTensorWords);
          }};
}

template <int kN, bool kTf32>
Case product(bool whole) {
  return {concat(kTf32 ? "wgmma_tf32 " : "wgmma_bf16 ", kN, whole ? " of whole numbers" : " of real numbers"), 90,
          whole ? 0 : 0x1p-18, [whole](Inputs& inputs) {
            const auto factors = [&](size_t rows) {
              const size_t count = rows * 32 * (kTf32 ? 1 : 2);
              const std::vector<float> values = whole ? inputs.whole_numbers(count) : inputs.real_numbers(count);
              if (!kTf32) return inputs.bf16_pairs(values);
              std::vector<uint32_t> words(count);
              for (size_t i = 0; i < count; ++i) words[i] = std::bit_cast<uint32_t>(values[i]) & ~0x1fffU;
              return words;
            };
            const uint32_t* a = inputs.upload(factors(64));
            const uint32_t* b = inputs.upload(factors(kN));
            auto* out = inputs.allocate<float>(64 * kN);
            launch(inputs.context(), multiply<kN, kTf32>,
                   {.grid = 1, .block = 128, .shared_bytes = kTileRoom + (64 + kN) * 128}, out, a, b);
            // One of 53 sums, which is of another register and another thread each time, keeps the files small.
            std::vector<uint32_t> all = inputs.download(out, 64 * kN), some;
            for (size_t i = 0; i < all.size(); i += 53) some.push_back(all[i]);
            return some;
          }};
}

/// The products that the wrappers have: of whole numbers, and for the first of real ones.
template <int kFirst, int... kOthers>
void add_products(std::vector<Case>& cases) {
  for (Case& c : std::vector<Case>{product<kFirst, false>(false), product<kFirst, true>(false),
                                   product<kFirst, false>(true), product<kFirst, true>(true),
                                   product<kOthers, false>(true)..., product<kOthers, true>(true)...}) {
    cases.push_back(std::move(c));
  }
}

}  // namespace

std::vector<Case> hopper_cases() {
  std::vector<Case> cases{load_2d("tma_load_2d of f32", false),
                          load_2d("tma_load_2d of tf32", true),
                          load_4d(),
                          store_4d(),
                          {"stmatrix_x4_trans", 90, 0,
                           [](Inputs& inputs) {
                             const uint32_t* in = inputs.upload(inputs.words(128));
                             auto* out = inputs.allocate<uint32_t>(128);
                             launch(inputs.context(), store_matrices, {.grid = 1, .block = 32, .shared_bytes = 512},
                                    out, in);
                             return inputs.download(out, 128);
                           }},
                          {"mbarrier and setmaxnreg", 90, 0,
                           [](Inputs& inputs) {
                             const uint32_t* in = inputs.upload(inputs.words(5 * 128));
                             auto* out = inputs.allocate<uint32_t>(5 * 128);
                             launch(inputs.context(), hand_over, {.grid = 1, .block = 384}, out, in, 5);
                             return inputs.download(out, 5 * 128);
                           }},
                          {"elect_one", 90, 0, [](Inputs& inputs) {
                             auto* out = inputs.allocate<uint32_t>(3);
                             launch(inputs.context(), elect, {.grid = 1, .block = 96}, out);
                             return inputs.download(out, 3);
                           }}};
  add_products<128, 160, 176, 208, 224, 256>(cases);
  return cases;
}

}  // namespace unet::conformance
