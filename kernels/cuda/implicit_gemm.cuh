// Convolution as a matrix product whose left factor is never stored: rows are output pixels, columns output channels,
// and the depth runs over taps and input channels.
#pragma once

#include "kernels/cuda/implicit_gemm_epilogue.cuh"
#include "kernels/cuda/implicit_gemm_gather.cuh"
#include "kernels/cuda/matrix_product.cuh"

namespace unet::kernels::gpu {

/// Slices in flight: one that is multiplied and three that are being copied.
inline constexpr int kStages = 4;

/// Dynamic shared memory of a block: the stages, and afterwards the finished tile.
template <class O, int kRows, int kColumns>
constexpr size_t implicit_gemm_shared_bytes() {
  constexpr size_t stages = size_t{kStages} * (kRows + kColumns) * kSliceBytes;
  constexpr size_t tile = size_t{kRows} * staged_pitch(kColumns) * sizeof(O);
  return stages > tile ? stages : tile;
}

// One block computes kRows pixels x kColumns channels, over the slices of its split. Blocks of the same pixels follow
// each other, so that they find them in L2.
//   warp    a part of the tile, see Product; thread: also kRows * 4 / kThreads chunks of every slice of the left
//           factor and kColumns * 4 / kThreads of the right, copied by cp.async kStages - 1 slices ahead
//   shared  kStages * (kRows + kColumns) * 64 bytes, reused for the finished tile; and 13 bytes a row
//   traffic (kRows + kColumns) * 64 bytes of L2 for kRows * kColumns * 32 (f32: 16) multiplications: 64 FLOP a byte
//           for 128x128 of bf16, 43 for 128x64; from memory, where L2 holds the halo, each tensor once
//   bound   tensor cores (FFMA for f32) where columns fill a tile and blocks the multiprocessors; L2 below 128 columns
template <class Product, Fetch kFetch, int kRows, int kColumns, class O>
__global__ void __launch_bounds__(Product::kThreads, Product::kBlocks)
    implicit_gemm(const ImplicitGemm<typename Product::Element, O> gemm) {
  using T = typename Product::Element;
  constexpr int kThreads = Product::kThreads, kStep = kThreads / kSliceChunks;
  constexpr int kStageBytes = (kRows + kColumns) * kSliceBytes;
  const auto& c = gemm.convolution;
  const int64_t tile = blockIdx.x / gemm.column_tiles;
  const int column = static_cast<int>(blockIdx.x % gemm.column_tiles) * kColumns;
  const int first_slice = blockIdx.y * gemm.slices;
  const int left = gemm.depth.slices() - first_slice, slices = left < gemm.slices ? left : gemm.slices;

  UNET_SHARED(TilePixels<kRows>, pixels);
  unsigned char* stages = dynamic_shared();
  for (int row = threadIdx.x; row < kRows; row += kThreads) pixels.locate(gemm, tile, row);
  __syncthreads();

  Gather<T, O, kFetch, kThreads, kRows> gather(gemm, pixels, first_slice);
  const int64_t pitch = int64_t{gemm.depth.slices()} * kSliceChunks * kChunk<T>;
  const int filter_row = threadIdx.x / kSliceChunks, filter_chunk = threadIdx.x % kSliceChunks;
  const T* filter =
      gemm.filter + (column + filter_row) * pitch + (first_slice * kSliceChunks + filter_chunk) * kChunk<T>;
  const auto fetch = [&](int stage) {
    unsigned char* to = stages + stage * kStageBytes;
    gather.fetch(to);
    to += kRows * kSliceBytes + chunk_offset(filter_row, filter_chunk);
#pragma unroll
    for (int i = 0; i < kColumns / kStep; ++i) {
      cp_async_16(to + i * kStep * kSliceBytes, filter + i * kStep * pitch, kChunkBytes);
    }
    filter += kSliceChunks * kChunk<T>;
  };

  Product product;
  product.start([&](int j) { return c.bias(column + j); });
  for (int slice = 0; slice < kStages - 1; ++slice) {
    if (slice < slices) fetch(slice);
    cp_async_commit();
  }
  int stage = 0;
  for (int slice = 0; slice < slices; ++slice) {
    cp_async_wait<kStages - 2>();
    __syncthreads();  // the slice has arrived, and all have multiplied the one before
    if (slice + kStages - 1 < slices) fetch(stage == 0 ? kStages - 1 : stage - 1);
    cp_async_commit();
    const unsigned char* a = stages + stage * kStageBytes;
    product.multiply(a, a + kRows * kSliceBytes);
    stage = stage + 1 < kStages ? stage + 1 : 0;
  }
  cp_async_wait<0>();
  __syncthreads();

  O* finished = reinterpret_cast<O*>(stages);
  product.for_each([&](int i, int j, const auto& sums) {
    Vector<float, Product::kRun> results;
#pragma unroll
    for (int e = 0; e < Product::kRun; ++e) results.values[e] = activate(sums.values[e], c.relu);
    store_vector(finished + i * staged_pitch(kColumns) + j, rounded<O>(results));
  });
  __syncthreads();
  const auto store = [&]<int kLength>(std::integral_constant<int, kLength>) {
    store_tile<kLength, kThreads, kColumns>(gemm, finished, pixels, column);
    if constexpr (std::is_same_v<T, O>) {
      if (c.pooled) pool_tile<kLength, kThreads, kColumns>(c, finished, pixels, column);
    }
  };
  if (gemm.vectors) {
    store(std::integral_constant<int, kChunkBytes / sizeof(O)>{});
  } else {
    store(std::integral_constant<int, 1>{});
  }
}

}  // namespace unet::kernels::gpu
