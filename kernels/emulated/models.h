// Functional models of the PTX instructions that kernels/cuda/ptx.cuh and kernels/cuda/sm90/ptx.cuh wrap. What each
// instruction does is said there and in the PTX ISA; the models report what it does not allow.
#pragma once

#include <cstdint>

#include "kernels/emulated/site.h"
#include "kernels/emulated/tensor_map.h"

namespace unet::kernels::emulated {

/// Address in the shared window.
uint32_t shared_address(const void* p);

void cp_async(void* to, const void* from, int size, int valid, Site site);
void cp_async_commit();
void cp_async_wait(int pending);

/// `count` 8x8 matrices of 16-bit elements: 1, 2 or 4.
void ldmatrix(uint32_t* r, const void* row, int count, bool transposed, Site site);
void stmatrix(void* row, const uint32_t* r, int count, bool transposed, Site site);
void mma_bf16(float* d, const uint32_t* a, const uint32_t* b, Site site);
void mma_tf32(float* d, const uint32_t* a, const uint32_t* b, Site site);

/// cvt.rna.tf32.f32: to nearest, ties away from zero.
uint32_t to_tf32(float value);
/// cvt.rn.bf16x2.f32
uint32_t pack_bf16(float low, float high);

// --- Compute capability 9.0

void mbarrier_init(uint64_t* barrier, unsigned arrivals, Site site);
void mbarrier_init_fence();
/// Arrives, and announces bytes that copies will bring in this phase.
void mbarrier_arrive(uint64_t* barrier, unsigned expected_bytes, Site site);
void mbarrier_wait(uint64_t* barrier, unsigned parity, Site site);
void fence_proxy_async();

/// The box at element coordinates at[0] (innermost), .., of as many dimensions as the map has.
void tma_load(void* to, const TensorMap* map, uint64_t* barrier, const int* at, int rank, Site site);
void tma_store(const TensorMap* map, const void* from, const int* at, int rank, Site site);
void tma_store_commit();
void tma_store_wait(int pending, bool read);

/// d, of this thread, holds columns / 2 sums; `a` and `b` are matrix descriptors.
void wgmma_bf16(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, Site site);
void wgmma_tf32(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, Site site);
void wgmma_fence(Site site);
void wgmma_commit(Site site);
void wgmma_wait(int pending, Site site);

bool elect_one(Site site);
void set_max_registers(int count, bool raise, Site site);

}  // namespace unet::kernels::emulated
