// Wrappers of PTX instructions of compute capability 8.0: the instruction for nvcc and, side by side, the model that
// the emulated target executes. Nowhere else is inline PTX but in sm90/ptx.cuh.
//
// Fragment layouts: PTX ISA, "Matrix Fragments for mma.m16n8k16" and "mma.m16n8k8".
#pragma once

#include <cstdint>

#include "kernels/cuda/device.cuh"

namespace unet::kernels::gpu {
#if defined(UNET_EMULATED)
// clang-format off
UNET_MODEL uint32_t shared_address(const void* p) { return emulated::shared_address(p); }
UNET_MODEL void cp_async_16(void* to, const void* from, int bytes, UNET_SITE) { emulated::cp_async(to, from, 16, bytes, site); }
UNET_MODEL void cp_async_commit() { emulated::cp_async_commit(); }
template <int kPending> UNET_MODEL void cp_async_wait() { emulated::cp_async_wait(kPending); }
UNET_MODEL void ldmatrix_x4(uint32_t (&r)[4], const void* row, UNET_SITE) { emulated::ldmatrix(r, row, 4, false, site); }
UNET_MODEL void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row, UNET_SITE) { emulated::ldmatrix(r, row, 4, true, site); }
UNET_MODEL void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], UNET_SITE) { emulated::mma_bf16(d, a, b, site); }
UNET_MODEL void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], UNET_SITE) { emulated::mma_tf32(d, a, b, site); }
UNET_MODEL uint32_t to_tf32(float value) { return emulated::to_tf32(value); }
UNET_MODEL uint32_t pack_bf16(float low, float high) { return emulated::pack_bf16(low, high); }
UNET_MODEL void named_barrier(unsigned id, unsigned threads, UNET_SITE) { emulated::barrier(id, threads, site); }
// clang-format on
#else

/// Address in the shared window, as instructions and descriptors want it.
__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

/// Starts copying 16 bytes, both ends aligned to 16, of which the first `bytes` come from global memory and the rest
/// are zero. With bytes == 0 `from` is not read but must still be a valid pointer.
__device__ __forceinline__ void cp_async_16(void* to, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes)
               : "memory");
}
/// Closes the group of the copies started since the last call; a group may be empty.
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most kPending of this thread's newest groups are unfinished. Other threads see them after a barrier.
template <int kPending>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

/// Loads four 8x8 matrices of 16-bit elements. Lane l gives the address (16-byte aligned, shared) of row l%8 of matrix
/// l/8; it receives elements (l/4, 2*(l%4)) and (l/4, 2*(l%4)+1) of each. All 32 lanes take part.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
/// The same with each matrix transposed.
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

/// d += a*b on a 16x8 tile, k = 16, bf16 factors, f32 sums. All 32 lanes take part.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/// d += a*b on a 16x8 tile, k = 8, tf32 factors (see to_tf32), f32 sums. All 32 lanes take part.
__device__ __forceinline__ void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Rounds to tf32, to nearest with ties away from zero.
__device__ __forceinline__ uint32_t to_tf32(float value) {
  uint32_t result;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(value));
  return result;
}
/// Two bf16, rounded to nearest even: `low` in bits 0..15.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  uint32_t result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}

/// Barrier `id` (1..15; 0 is __syncthreads) for `threads` threads, a multiple of 32.
__device__ __forceinline__ void named_barrier(unsigned id, unsigned threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
#endif
}  // namespace unet::kernels::gpu
