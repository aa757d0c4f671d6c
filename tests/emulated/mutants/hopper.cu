// A product of matrices as Hopper computes it: one warpgroup loads tiles of a by TMA into a ring, another multiplies
// them by wgmma with b, which it has stored to shared memory itself, and stores the result by TMA.
#include "kernels/cuda/sm90/ptx.cuh"
#include "tests/emulated/mutants/mutants.h"

namespace unet::kernels::gpu::mutants {
namespace {

enum class Bug : uint8_t {
  none,
  not_initialised,        // mbarriers
  no_init_fence,          // their initialisation is not shown to TMA
  no_barrier_after_init,  // nor to the other threads
  expects_two_arrivals,   // of which one comes
  arrives_twice,          // where one is expected
  announces_too_much,     // bytes that never come
  announces_too_little,
  no_wait_for_tile,     // it is multiplied before it is there
  no_wait_for_free,     // it is overwritten before it is multiplied
  parity_of_producer,   // waits for a phase that nobody ends
  parity_stays,         // the second round is taken for the first
  frees_too_early,      // while wgmma still reads
  b_overwritten,        // by ordinary stores, while wgmma reads it
  sums_read_too_early,  // before the last wgmma has ended
  sums_written_too_early,
  no_commit,                    // wgmma belongs to no group, so that waiting does not wait for it
  no_wgmma_fence,               // after the sums were set
  b_without_proxy_fence,        // ordinary stores, then wgmma
  staging_without_proxy_fence,  // ordinary stores, then TMA
  staging_overwritten,          // while TMA still reads it
  store_left_at_exit,
  tile_not_aligned,
  tile_past_end,  // of shared memory
  rank_of_map,
  descriptor_past_end,
  part_of_a_warpgroup,  // three warps call wgmma
  different_operands    // within a warpgroup
};

constexpr int kTile = 64;  // rows, columns and depth
constexpr int kTileBytes = kTile * kTile * 2, kSteps = 3, kTiles = 3;
constexpr int kDepth = kSteps * kTile;
constexpr int kThreadsPerBlock = 256;
/// Tiles of a in flight; enough for all where the ring is not what goes wrong.
template <Bug kBug>
constexpr int kStages = kBug == Bug::no_commit ? kSteps* kTiles : 2;
template <Bug kBug>
constexpr size_t kSharedBytes = 1024 + (kStages<kBug> + kSteps + 1) * kTileBytes;

/// Byte offset of a 16-byte chunk in a tile of rows of 128 bytes, swizzled.
__device__ __forceinline__ int chunk_offset(int row, int chunk) { return row * 128 + (chunk ^ row % 8) * 16; }

/// d[rows,64] = a[rows,192] * b[64,192]^T, one block, tile of 64 rows after tile.
template <Bug kBug>
__global__ void __launch_bounds__(kThreadsPerBlock)
    product(const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_d, const bf16* b,
            int tiles) {
#if UNET_SM90
  UNET_SHARED(uint64_t[kStages<kBug>], full);
  UNET_SHARED(uint64_t[kStages<kBug>], empty);
  unsigned char* const raw = dynamic_shared();
  const unsigned padding = (1024 - shared_address(raw) % 1024) % 1024;
  unsigned char* const ring = raw + padding + (kBug == Bug::tile_not_aligned ? 128 : 0);
  unsigned char* const tiles_b = raw + padding + kStages<kBug> * kTileBytes;
  unsigned char* const staging = tiles_b + kSteps * kTileBytes;
  const int thread = static_cast<int>(threadIdx.x) % 128;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages<kBug>; ++stage) {
      mbarrier_init(&full[stage], kBug == Bug::expects_two_arrivals ? 2 : 1);
      if constexpr (kBug != Bug::not_initialised) mbarrier_init(&empty[stage], 1);
    }
    if constexpr (kBug != Bug::no_init_fence) mbarrier_init_fence();
  }
  if constexpr (kBug != Bug::no_barrier_after_init) __syncthreads();

  int stage = 0;
  unsigned phase = 0;
  const auto advance = [&] {
    if (++stage == kStages<kBug>) stage = 0, phase ^= 1;
  };
  if (threadIdx.x < 128) {
    if (threadIdx.x != 0) return;
    for (int i = 0; i < tiles * kSteps; ++i) {
      if constexpr (kBug == Bug::parity_of_producer) {
        mbarrier_wait(&empty[stage], phase);
      } else if constexpr (kBug != Bug::no_wait_for_free) {
        mbarrier_wait(&empty[stage], phase ^ 1);
      }
      constexpr unsigned kAnnounced = kBug == Bug::announces_too_much     ? kTileBytes + 16
                                      : kBug == Bug::announces_too_little ? kTileBytes - 16
                                                                          : kTileBytes;
      mbarrier_arrive_expect(&full[stage], kAnnounced);
      if constexpr (kBug == Bug::arrives_twice) mbarrier_arrive(&full[stage]);
      unsigned char* const to = kBug == Bug::tile_past_end ? staging + 2048 : ring + stage * kTileBytes;
      if constexpr (kBug == Bug::rank_of_map) {
        tma_load_4d(to, &map_a, &full[stage], i % kSteps * kTile, i / kSteps * kTile, 0, 0);
      } else {
        tma_load_2d(to, &map_a, &full[stage], i % kSteps * kTile, i / kSteps * kTile);
      }
      advance();
    }
    return;
  }

  for (int i = thread; i < kSteps * kTile * 8; i += 128) {
    const int step = i / (kTile * 8), row = i / 8 % kTile, chunk = i % 8;
    *reinterpret_cast<uint4*>(tiles_b + step * kTileBytes + chunk_offset(row, chunk)) =
        *reinterpret_cast<const uint4*>(b + row * kDepth + step * kTile + chunk * 8);
  }
  if constexpr (kBug != Bug::b_without_proxy_fence) fence_proxy_async();
  named_barrier(1, 128);
  if constexpr (kBug == Bug::part_of_a_warpgroup) {
    if (thread < 32) return;
  }
  for (int tile = 0; tile < tiles; ++tile) {
    float sums[kTile / 2] = {};
    int previous = stage;
    for (int step = 0; step < kSteps; ++step) {
      if constexpr (kBug != Bug::no_wait_for_tile) mbarrier_wait(&full[stage], kBug == Bug::parity_stays ? 0 : phase);
      if constexpr (kBug != Bug::no_wgmma_fence) wgmma_fence();
      uint64_t matrix_a = matrix_descriptor(ring + stage * kTileBytes);
      const uint64_t matrix_b = matrix_descriptor(tiles_b + step * kTileBytes);
      if constexpr (kBug == Bug::descriptor_past_end) matrix_a += kSharedBytes<kBug> / 16;
      if constexpr (kBug == Bug::different_operands) matrix_a += thread == 77 ? 2 : 0;
      for (int k = 0; k < 4; ++k) wgmma_bf16<kTile>(sums, matrix_a + 2 * k, matrix_b + 2 * k, true);
      if constexpr (kBug != Bug::no_commit) wgmma_commit();
      if constexpr (kBug == Bug::b_overwritten) tiles_b[step * kTileBytes + thread] = 0;
      if constexpr (kBug == Bug::sums_written_too_early) sums[step] = 0;
      wgmma_wait<1>();
      if constexpr (kBug == Bug::frees_too_early) {
        if (thread == 0) mbarrier_arrive(&empty[stage]);
      } else {
        if (thread == 0 && step > 0) mbarrier_arrive(&empty[previous]);
      }
      previous = stage;
      advance();
    }
    const auto finish = [&] {
      wgmma_wait<0>();
      if (thread == 0 && kBug != Bug::frees_too_early) mbarrier_arrive(&empty[previous]);
    };
    if constexpr (kBug != Bug::sums_read_too_early) finish();
    if (thread == 0 && kBug != Bug::staging_overwritten) tma_store_wait_read<0>();
    named_barrier(1, 128);
    for (int i = 0; i < kTile / 2; i += 2) {
      const int row = thread / 32 * 16 + i / 2 % 2 * 8 + thread % 32 / 4, column = i / 4 * 8 + thread % 4 * 2;
      *reinterpret_cast<uint32_t*>(staging + chunk_offset(row, column / 8) + column % 8 * 2) =
          pack_bf16(sums[i], sums[i + 1]);
    }
    if constexpr (kBug == Bug::sums_read_too_early) finish();
    if constexpr (kBug != Bug::staging_without_proxy_fence) fence_proxy_async();
    named_barrier(1, 128);
    if (thread == 0) {
      tma_store_4d(&map_d, staging, 0, tile * kTile, 0, 0);
      tma_store_commit();
    }
  }
  if constexpr (kBug != Bug::store_left_at_exit) {
    if (thread == 0) tma_store_wait<0>();
  }
#endif
}

template <Bug kBug>
bool run_product(const Context& context) {
  constexpr int kRows = kTiles * kTile - 23;
  const std::vector<bf16> a = integers<bf16>(kRows * kDepth, -1), b = integers<bf16>(kTile * kDepth, -5);
  DeviceArray<bf16> device_a(context, a), device_b(context, b), d(context, kRows * kTile);
  const TensorMap map_a = make_tensor_map({.base = device_a.data(),
                                           .element_bytes = 2,
                                           .rank = 2,
                                           .size = {kDepth, kRows},
                                           .stride = {0, kDepth * 2},
                                           .box = {kTile, kTile}});
  const TensorMap map_d = make_tensor_map({.base = d.data(),
                                           .element_bytes = 2,
                                           .rank = 4,
                                           .size = {kTile, kRows, 1, 1},
                                           .stride = {0, kTile * 2, kRows * kTile * 2, kRows * kTile * 2},
                                           .box = {kTile, kTile, 1, 1}});
  launch(context, product<kBug>, {.grid = dim3(1), .block = dim3(kThreadsPerBlock), .shared_bytes = kSharedBytes<kBug>},
         map_a, map_d, static_cast<const bf16*>(device_b.data()), kTiles);
  std::vector<bf16> expected;
  for (int row = 0; row < kRows; ++row) {
    for (int column = 0; column < kTile; ++column) {
      float sum = 0;
      for (int k = 0; k < kDepth; ++k) sum += a[row * kDepth + k] * b[column * kDepth + k];
      expected.push_back(sum);
    }
  }
  const std::vector<bf16> result = d.download();
  return std::memcmp(result.data(), expected.data(), expected.size() * sizeof(bf16)) == 0;
}

}  // namespace

std::vector<Mutant> hopper() {
  return {
      {"product_sm90", {}, run_product<Bug::none>},
      {"not_initialised", {Defect::mbarrier_uninitialised}, run_product<Bug::not_initialised>},
      {"no_init_fence", {Defect::mbarrier_unfenced}, run_product<Bug::no_init_fence>},
      {"no_barrier_after_init",
       {Defect::mbarrier_unfenced, Defect::mbarrier_uninitialised},
       run_product<Bug::no_barrier_after_init>},
      {"expects_two_arrivals", {Defect::deadlock}, run_product<Bug::expects_two_arrivals>},
      {"arrives_twice", {Defect::mbarrier_arrivals}, run_product<Bug::arrives_twice>},
      {"announces_too_much", {Defect::deadlock}, run_product<Bug::announces_too_much>},
      {"announces_too_little", {Defect::deadlock}, run_product<Bug::announces_too_little>},
      {"no_wait_for_tile",
       {Defect::unfinished_copy},
       run_product<Bug::no_wait_for_tile>,
       {Defect::mbarrier_arrivals, Defect::uninitialised_shared, Defect::operand_in_use, Defect::deadlock}},
      {"no_wait_for_free",
       {Defect::unfinished_copy, Defect::mbarrier_arrivals},
       run_product<Bug::no_wait_for_free>,
       {Defect::deadlock}},
      {"parity_of_producer", {Defect::deadlock}, run_product<Bug::parity_of_producer>},
      {"parity_stays",
       {Defect::unfinished_copy, Defect::operand_in_use, Defect::deadlock},
       run_product<Bug::parity_stays>,
       {Defect::mbarrier_arrivals}},
      {"frees_too_early",
       {Defect::operand_in_use},
       run_product<Bug::frees_too_early>,
       {Defect::deadlock, Defect::unfinished_copy}},
      {"b_overwritten", {Defect::operand_in_use}, run_product<Bug::b_overwritten>, {Defect::shared_race}},
      {"sums_read_too_early", {Defect::accumulator_in_use}, run_product<Bug::sums_read_too_early>},
      {"sums_written_too_early", {Defect::accumulator_in_use}, run_product<Bug::sums_written_too_early>},
      {"no_commit", {Defect::accumulator_in_use}, run_product<Bug::no_commit>, {Defect::unfinished_at_exit}},
      {"no_wgmma_fence", {Defect::missing_wgmma_fence}, run_product<Bug::no_wgmma_fence>},
      {"b_without_proxy_fence", {Defect::missing_proxy_fence}, run_product<Bug::b_without_proxy_fence>},
      {"staging_without_proxy_fence", {Defect::missing_proxy_fence}, run_product<Bug::staging_without_proxy_fence>},
      {"staging_overwritten", {Defect::unfinished_copy}, run_product<Bug::staging_overwritten>},
      {"store_left_at_exit", {Defect::unfinished_at_exit}, run_product<Bug::store_left_at_exit>},
      {"tile_not_aligned",
       {Defect::misaligned},
       run_product<Bug::tile_not_aligned>,
       {Defect::unfinished_copy, Defect::shared_race}},
      {"tile_past_end",
       {Defect::out_of_bounds_shared},
       run_product<Bug::tile_past_end>,
       {Defect::unfinished_copy, Defect::uninitialised_shared, Defect::missing_proxy_fence}},
      {"rank_of_map", {Defect::bad_operand}, run_product<Bug::rank_of_map>},
      {"descriptor_past_end", {Defect::out_of_bounds_shared}, run_product<Bug::descriptor_past_end>},
      {"part_of_a_warpgroup", {Defect::deadlock}, run_product<Bug::part_of_a_warpgroup>},
      {"different_operands",
       {Defect::bad_operand},
       run_product<Bug::different_operands>,
       {Defect::unfinished_copy, Defect::operand_in_use, Defect::uninitialised_shared}},
  };
}

}  // namespace unet::kernels::gpu::mutants
