// One tile of a product of matrices as a convolution computes it: cp.async into two buffers, ldmatrix, mma.
#include "tests/emulated/mutants/mutants.h"

namespace unet::kernels::gpu::mutants {
namespace {

enum class Bug : uint8_t {
  none,
  waits_for_too_few,        // the newest copies are used before they are there
  no_wait,                  // all of them
  no_commit,                // copies belong to no group, so that waiting does not wait for them
  no_barrier_after_wait,    // other threads' copies are not seen
  no_barrier_before_reuse,  // a buffer is overwritten while other warps still read it
  one_buffer,               // the next tile lands where the current one is read
  copy_past_tile,           // a row too far in shared memory
  copy_past_end,            // rows behind the last are read instead of filled with zeros
  copy_of_undefined,        // rows that nobody wrote are read
  copy_misaligned,          // 16 bytes from an address that is no multiple of it
  copy_to_registers,        // cp.async to what is not shared memory
  copy_of_17_bytes,
  rows_never_loaded,  // the fragment of the last rows is undefined
  ldmatrix_misaligned,
  ldmatrix_by_half_a_warp,
  mma_by_half_a_warp,
  store_past_end,      // no guard of the last rows
  two_warps_one_tile,  // two warps write the same output
  copies_left_at_exit  // loads a tile behind the last
};

constexpr int kRows = 64, kColumns = 16, kDepth = 32;  // of a tile; four warps of 16 rows
constexpr int kThreadsPerBlock = 128;
constexpr int kStage = (kRows + kColumns) * kDepth;  // elements

/// Element offset of a 16-byte chunk of a row; the exchange keeps ldmatrix free of bank conflicts.
__device__ __forceinline__ int chunk_offset(int row, int chunk) { return row * kDepth + (chunk ^ (row >> 1 & 3)) * 8; }

/// c[rows,16] = a[rows,depth] * b[16,depth]^T, depth a multiple of 32. One block: 64 rows.
template <Bug kBug>
__global__ void __launch_bounds__(kThreadsPerBlock)
    product(float* c, const bf16* a, const bf16* b, int rows, int depth) {
  bf16* const tiles = dynamic_shared<bf16>();
  const int first_row = static_cast<int>(blockIdx.x) * kRows;
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const auto load = [&](int step, int buffer) {
    bf16* const tile = tiles + buffer * kStage;
    for (int i = thread; i < (kRows + kColumns) * 4; i += kThreadsPerBlock) {
      const int row = i / 4, chunk = i % 4;
      const bool is_a = row < kRows;
      const int source_row = is_a ? first_row + row : row - kRows;
      const bool exists = !is_a || source_row < rows || kBug == Bug::copy_past_end;
      if constexpr (kBug == Bug::rows_never_loaded) {
        if (!exists) continue;
      }
      const bf16* const matrix = is_a ? a : b;
      const bf16* from = matrix + (exists ? static_cast<int64_t>(source_row) * depth + step * kDepth + chunk * 8 : 0);
      if constexpr (kBug == Bug::copy_misaligned) from += step == 1 && i == 7 ? 1 : 0;
      bf16* to = tile + chunk_offset(row, chunk);
      if constexpr (kBug == Bug::copy_past_tile) to += buffer == 1 && !is_a ? kDepth : 0;
      int bytes = exists ? 16 : 0;
      if constexpr (kBug == Bug::copy_of_17_bytes) bytes += exists ? 1 : 0;
      if constexpr (kBug == Bug::copy_to_registers) {
        alignas(16) bf16 elsewhere[8];
        cp_async_16(elsewhere, from, bytes);
      }
      cp_async_16(to, from, bytes);
    }
    if constexpr (kBug != Bug::no_commit) cp_async_commit();
  };

  float sums[2][4] = {};
  const int steps = depth / kDepth;
  load(0, 0);
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps || kBug == Bug::copies_left_at_exit) {
      load(step + 1 < steps ? step + 1 : 0, kBug == Bug::one_buffer ? step % 2 : (step + 1) % 2);
      if constexpr (kBug != Bug::no_wait) cp_async_wait<kBug == Bug::waits_for_too_few ? 2 : 1>();
    } else {
      if constexpr (kBug != Bug::no_wait) cp_async_wait<0>();
    }
    if constexpr (kBug != Bug::no_barrier_after_wait) __syncthreads();
    const bf16* const tile_a = tiles + step % 2 * kStage;
    const bf16* const tile_b = tile_a + kRows * kDepth;
    for (int k = 0; k < 2; ++k) {
      uint32_t fragment_a[4], fragment_b[4];
      const bf16* row_a = tile_a + chunk_offset(warp * 16 + lane % 16, 2 * k + lane / 16);
      if constexpr (kBug == Bug::ldmatrix_misaligned) row_a += 4;
      const bf16* const row_b = tile_b + chunk_offset(lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2);
      if constexpr (kBug == Bug::ldmatrix_by_half_a_warp) {
        if (lane < 16) ldmatrix_x4(fragment_a, row_a);
      } else {
        ldmatrix_x4(fragment_a, row_a);
      }
      ldmatrix_x4(fragment_b, row_b);
      for (int j = 0; j < 2; ++j) {
        const uint32_t pair[2] = {fragment_b[2 * j], fragment_b[2 * j + 1]};
        if constexpr (kBug == Bug::mma_by_half_a_warp) {
          if (lane < 16) mma_bf16(sums[j], fragment_a, pair);
        } else {
          mma_bf16(sums[j], fragment_a, pair);
        }
      }
    }
    if constexpr (kBug != Bug::no_barrier_before_reuse) __syncthreads();
  }
  const int warp_row = kBug == Bug::two_warps_one_tile ? warp / 2 * 32 : warp * 16;
  for (int i = 0; i < 2; ++i) {
    const int row = first_row + warp_row + i * 8 + lane / 4;
    if (row >= rows && kBug != Bug::store_past_end) continue;
    for (int j = 0; j < 2; ++j) {
      *reinterpret_cast<float2*>(c + row * kColumns + j * 8 + lane % 4 * 2) =
          make_float2(sums[j][2 * i], sums[j][2 * i + 1]);
    }
  }
}

template <Bug kBug>
bool run_product(const Context& context) {
  constexpr int kTotalRows = kRows + 41, kTotalDepth = 4 * kDepth;
  const std::vector<bf16> a = integers<bf16>(kTotalRows * kTotalDepth), b = integers<bf16>(kColumns * kTotalDepth, -5);
  DeviceArray<bf16> device_a(context, a), device_b(context, b), undefined(context, a.size());
  DeviceArray<float> c(context, kTotalRows * kColumns);
  const bf16* const from = kBug == Bug::copy_of_undefined ? undefined.data() : device_a.data();
  launch(context, product<kBug>,
         {.grid = dim3(2), .block = dim3(kThreadsPerBlock), .shared_bytes = 2 * kStage * sizeof(bf16)}, c.data(), from,
         static_cast<const bf16*>(device_b.data()), kTotalRows, kTotalDepth);
  std::vector<float> expected;
  for (int row = 0; row < kTotalRows; ++row) {
    for (int column = 0; column < kColumns; ++column) {
      float sum = 0;
      for (int k = 0; k < kTotalDepth; ++k) sum += a[row * kTotalDepth + k] * b[column * kTotalDepth + k];
      expected.push_back(sum);
    }
  }
  return c.download() == expected;
}

}  // namespace

std::vector<Mutant> convolution() {
  return {
      {"product", {}, run_product<Bug::none>},
      {"waits_for_too_few", {Defect::unfinished_copy}, run_product<Bug::waits_for_too_few>},
      {"no_wait", {Defect::unfinished_copy}, run_product<Bug::no_wait>, {Defect::unfinished_at_exit}},
      {"no_commit", {Defect::unfinished_copy}, run_product<Bug::no_commit>, {Defect::unfinished_at_exit}},
      {"no_barrier_after_wait",
       {Defect::shared_race},
       run_product<Bug::no_barrier_after_wait>,
       {Defect::unfinished_copy, Defect::uninitialised_shared}},
      {"no_barrier_before_reuse",
       {Defect::shared_race},
       run_product<Bug::no_barrier_before_reuse>,
       {Defect::unfinished_copy}},
      {"one_buffer", {Defect::unfinished_copy}, run_product<Bug::one_buffer>},
      {"copy_past_tile", {Defect::out_of_bounds_shared}, run_product<Bug::copy_past_tile>},
      {"copy_past_end", {Defect::out_of_bounds_global}, run_product<Bug::copy_past_end>},
      {"copy_of_undefined", {Defect::uninitialised_global}, run_product<Bug::copy_of_undefined>},
      {"copy_misaligned", {Defect::misaligned}, run_product<Bug::copy_misaligned>},
      {"copy_to_registers", {Defect::out_of_bounds_shared}, run_product<Bug::copy_to_registers>},
      {"copy_of_17_bytes", {Defect::bad_operand}, run_product<Bug::copy_of_17_bytes>},
      {"rows_never_loaded", {Defect::uninitialised_shared}, run_product<Bug::rows_never_loaded>},
      {"ldmatrix_misaligned", {Defect::misaligned}, run_product<Bug::ldmatrix_misaligned>},
      {"ldmatrix_by_half_a_warp", {Defect::divergent_collective}, run_product<Bug::ldmatrix_by_half_a_warp>},
      {"mma_by_half_a_warp", {Defect::divergent_collective}, run_product<Bug::mma_by_half_a_warp>},
      {"store_past_end", {Defect::out_of_bounds_global}, run_product<Bug::store_past_end>},
      {"two_warps_one_tile", {Defect::global_race}, run_product<Bug::two_warps_one_tile>},
      {"copies_left_at_exit", {Defect::unfinished_at_exit}, run_product<Bug::copies_left_at_exit>},
  };
}

}  // namespace unet::kernels::gpu::mutants
