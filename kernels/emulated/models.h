// Functional models of the PTX instructions that kernels/cuda/ptx.cuh and kernels/cuda/sm90/ptx.cuh wrap. What each
// instruction does is said there and in the PTX ISA; the models report what it does not allow.
#pragma once

#include <cstdint>

#include "kernels/emulated/site.h"

namespace unet::kernels::emulated {

/// Address in the shared window.
uint32_t shared_address(const void* p);

void cp_async(void* to, const void* from, int size, int valid, Site site);
void cp_async_commit();
void cp_async_wait(int pending);

/// `count` 8x8 matrices of 16-bit elements: 1, 2 or 4.
void ldmatrix(uint32_t* r, const void* row, int count, bool transposed, Site site);
void mma_bf16(float* d, const uint32_t* a, const uint32_t* b, Site site);
void mma_tf32(float* d, const uint32_t* a, const uint32_t* b, Site site);

/// cvt.rna.tf32.f32: to nearest, ties away from zero.
uint32_t to_tf32(float value);
/// cvt.rn.bf16x2.f32
uint32_t pack_bf16(float low, float high);

bool elect_one(Site site);

}  // namespace unet::kernels::emulated
