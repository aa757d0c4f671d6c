// Wrappers of PTX instructions of compute capability 9.0a: tensor memory accelerator (TMA), mbarrier, wgmma. The
// instruction for nvcc and, side by side, the model that the emulated target executes.
//
// Kernels that call them guard their bodies by UNET_SM90, for a source is compiled for older architectures too.
// Shared memory operands of TMA and wgmma have rows of 128 bytes in the 128-byte swizzle: byte b of a tile, whose base
// is aligned to 1024, lies at b ^ (b / 128 % 8 * 16).
#pragma once

#include "kernels/cuda/device.cuh"

#if defined(UNET_EMULATED) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define UNET_SM90 1
#else
#define UNET_SM90 0
#endif

#if !defined(UNET_EMULATED)
#include <cuda.h>
#endif

namespace unet::kernels::gpu {

/// Whether this build has machine code for 9.0a. Without it a device of capability 9.0 runs code for older
/// architectures, in which guarded bodies are empty.
#if defined(UNET_EMULATED) || defined(UNET_WITH_SM90A)
inline constexpr bool kHasSm90Code = true;
#else
inline constexpr bool kHasSm90Code = false;
#endif

/// A tensor in global memory and the box that one TMA instruction copies, innermost dimension first.
struct TensorMapShape {
  const void* base;    // aligned to 16 bytes
  int element_bytes;   // 2: bf16; 4: f32
  bool tf32;           // loads round f32 to tf32, to nearest even
  int rank;            // 1..5
  uint64_t size[5];    // elements
  uint64_t stride[5];  // bytes, multiples of 16 from [1] on; [0] is not used
  uint32_t box[5];     // elements, 1..256 each; box[0] fills at most 128 bytes
};

#if defined(UNET_EMULATED)
// clang-format off
using TensorMap = emulated::TensorMap;
/// Loads give zero outside of the tensor, stores leave out what lies outside; coordinates may be negative.
inline TensorMap make_tensor_map(const TensorMapShape& s) {
  return emulated::make_tensor_map(s.base, s.element_bytes, s.tf32, s.rank, s.size, s.stride, s.box, /*swizzle_bytes=*/128);
}
UNET_MODEL void mbarrier_init(uint64_t* barrier, unsigned arrivals, UNET_SITE) { emulated::mbarrier_init(barrier, arrivals, site); }
UNET_MODEL void mbarrier_init_fence() { emulated::mbarrier_init_fence(); }
UNET_MODEL void mbarrier_arrive(uint64_t* barrier, UNET_SITE) { emulated::mbarrier_arrive(barrier, 0, site); }
UNET_MODEL void mbarrier_arrive_expect(uint64_t* barrier, unsigned bytes, UNET_SITE) { emulated::mbarrier_arrive(barrier, bytes, site); }
UNET_MODEL void mbarrier_wait(uint64_t* barrier, unsigned parity, UNET_SITE) { emulated::mbarrier_wait(barrier, parity, site); }
UNET_MODEL void fence_proxy_async() { emulated::fence_proxy_async(); }
UNET_MODEL void tma_load_2d(void* to, const TensorMap* map, uint64_t* barrier, int c0, int c1, UNET_SITE) { const int c[] = {c0, c1}; emulated::tma_load(to, map, barrier, c, 2, site); }
UNET_MODEL void tma_load_4d(void* to, const TensorMap* map, uint64_t* barrier, int c0, int c1, int c2, int c3, UNET_SITE) { const int c[] = {c0, c1, c2, c3}; emulated::tma_load(to, map, barrier, c, 4, site); }
UNET_MODEL void tma_store_4d(const TensorMap* map, const void* from, int c0, int c1, int c2, int c3, UNET_SITE) { const int c[] = {c0, c1, c2, c3}; emulated::tma_store(map, from, c, 4, site); }
UNET_MODEL void tma_store_commit() { emulated::tma_store_commit(); }
template <int kPending> UNET_MODEL void tma_store_wait_read() { emulated::tma_store_wait(kPending, /*read=*/true); }
template <int kPending> UNET_MODEL void tma_store_wait() { emulated::tma_store_wait(kPending, /*read=*/false); }
UNET_MODEL void wgmma_fence(UNET_SITE) { emulated::wgmma_fence(site); }
UNET_MODEL void wgmma_commit(UNET_SITE) { emulated::wgmma_commit(site); }
template <int kPending> UNET_MODEL void wgmma_wait(UNET_SITE) { emulated::wgmma_wait(kPending, site); }
template <int kN> UNET_MODEL void wgmma_bf16(float (&d)[kN / 2], uint64_t a, uint64_t b, bool accumulate, UNET_SITE) { emulated::wgmma_bf16(d, kN, a, b, accumulate, site); }
template <int kN> UNET_MODEL void wgmma_tf32(float (&d)[kN / 2], uint64_t a, uint64_t b, bool accumulate, UNET_SITE) { emulated::wgmma_tf32(d, kN, a, b, accumulate, site); }
template <int kCount> UNET_MODEL void keep_in_registers(float (&)[kCount]) {}
UNET_MODEL void stmatrix_x4_trans(void* row, const uint32_t (&r)[4], UNET_SITE) { emulated::stmatrix(row, r, 4, /*transposed=*/true, site); }
UNET_MODEL bool elect_one(UNET_SITE) { return emulated::elect_one(site); }
template <int kRegisters> UNET_MODEL void raise_registers(UNET_SITE) { emulated::set_max_registers(kRegisters, /*raise=*/true, site); }
template <int kRegisters> UNET_MODEL void lower_registers(UNET_SITE) { emulated::set_max_registers(kRegisters, /*raise=*/false, site); }
// clang-format on
#else

using TensorMap = CUtensorMap;

/// Loads give zero outside of the tensor, stores leave out what lies outside; coordinates may be negative. Throws
/// DeviceError where the driver refuses the shape.
inline TensorMap make_tensor_map(const TensorMapShape& s) {
  static const auto encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    cuda::require(
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found),
        "tensor maps");
    if (found != cudaDriverEntryPointSuccess) {
      throw DeviceError("tensor maps: expected a driver of CUDA 12 or later; update the NVIDIA driver");
    }
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  const CUtensorMapDataType type = s.element_bytes == 2 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                   : s.tf32             ? CU_TENSOR_MAP_DATA_TYPE_TFLOAT32
                                                        : CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
  TensorMap map;
  const cuuint32_t steps[5] = {1, 1, 1, 1, 1};
  const CUresult result = encode(&map, type, static_cast<cuuint32_t>(s.rank), const_cast<void*>(s.base), s.size,
                                 s.stride + 1, s.box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    throw DeviceError(concat("tensor maps: the driver refuses ", s.size[0], " x ", s.size[1], " x .. elements of ",
                             s.element_bytes, " bytes in boxes of ", s.box[0], " x ", s.box[1], " x .. (error ",
                             static_cast<int>(result), ")"));
  }
  return map;
}

#if UNET_SM90
/// A barrier in shared memory whose phase ends after `arrivals` arrivals and all announced bytes.
__device__ __forceinline__ void mbarrier_init(uint64_t* barrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
/// Shows initialised barriers to TMA; a __syncthreads() then shows them to the other threads.
__device__ __forceinline__ void mbarrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void mbarrier_arrive(uint64_t* barrier) {
  asm volatile("{ .reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0]; }" ::"r"(shared_address(barrier))
               : "memory");
}
/// Arrives and announces `bytes` that TMA will write in this phase.
__device__ __forceinline__ void mbarrier_arrive_expect(uint64_t* barrier, unsigned bytes) {
  asm volatile(
      "{ .reg .b64 state; mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1; }" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
}
/// Waits for the end of a phase: of the first with parity 0, of the second with parity 1, and so on. Returns at once
/// with parity 1 on a fresh barrier.
__device__ __forceinline__ void mbarrier_wait(uint64_t* barrier, unsigned parity) {
  uint32_t done;
  do {
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done)
                 : "r"(shared_address(barrier)), "r"(parity)
                 : "memory");
  } while (done == 0);
}

/// Orders this thread's accesses of shared memory before later ones of TMA and wgmma.
__device__ __forceinline__ void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// Starts copying the box at element coordinates c0 (innermost), c1, .. to shared memory; the bytes of the whole box
/// count towards the barrier's phase when they are there.
__device__ __forceinline__ void tma_load_2d(void* to, const TensorMap* map, uint64_t* barrier, int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::
          "r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1)
      : "memory");
}
__device__ __forceinline__ void tma_load_4d(void* to, const TensorMap* map, uint64_t* barrier, int c0, int c1, int c2,
                                            int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], "
      "[%2];" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}

/// Starts copying a box from shared memory, written before a fence_proxy_async(), to the tensor.
__device__ __forceinline__ void tma_store_4d(const TensorMap* map, const void* from, int c0, int c1, int c2, int c3) {
  asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(map),
               "r"(shared_address(from)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
               : "memory");
}
/// Closes the group of this thread's stores since the last call.
__device__ __forceinline__ void tma_store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
/// Waits until at most kPending of this thread's newest groups still read shared memory.
template <int kPending>
__device__ __forceinline__ void tma_store_wait_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kPending) : "memory");
}
/// Waits until at most kPending of this thread's newest groups are unfinished.
template <int kPending>
__device__ __forceinline__ void tma_store_wait() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(kPending) : "memory");
}

/// Before a warpgroup's first wgmma and after it has touched the accumulators otherwise.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
/// Closes the group of the warpgroup's wgmma since the last call.
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits until at most kPending of the newest groups are unfinished.
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

#define UNET_SUMS32                                                                                                    \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30," \
  "%31"
#define UNET_SUMS64                                                                                                    \
  UNET_SUMS32                                                                                                          \
  ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%" \
  "60,%61,%62,%63"
#define UNET_SUMS80 \
  UNET_SUMS64       \
  ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"
#define UNET_SUMS88 \
  UNET_SUMS80       \
  ",%80,%81,%82,%83,%84,%85,%86,%87"
#define UNET_SUMS104 \
  UNET_SUMS88        \
  ",%88,%89,%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103"
#define UNET_SUMS112 \
  UNET_SUMS104       \
  ",%104,%105,%106,%107,%108,%109,%110,%111"
#define UNET_SUMS128 \
  UNET_SUMS112       \
  ",%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define UNET_OUT4(i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define UNET_OUT8(i) UNET_OUT4(i), UNET_OUT4((i) + 4)
#define UNET_OUT16(i) UNET_OUT8(i), UNET_OUT8((i) + 8)
#define UNET_OUT32 UNET_OUT16(0), UNET_OUT16(16)
#define UNET_OUT64 UNET_OUT32, UNET_OUT16(32), UNET_OUT16(48)
#define UNET_OUT80 UNET_OUT64, UNET_OUT16(64)
#define UNET_OUT88 UNET_OUT80, UNET_OUT8(80)
#define UNET_OUT104 UNET_OUT88, UNET_OUT16(88)
#define UNET_OUT112 UNET_OUT104, UNET_OUT8(104)
#define UNET_OUT128 UNET_OUT112, UNET_OUT16(112)
// wgmma with `columns` columns: `count` sums per thread, then the operands numbered a_, b_, p_.
#define UNET_WGMMA(columns, kind, tail, count, a_, b_, p_)                                                     \
  if constexpr (kN == columns) {                                                                               \
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #p_ ", 0; wgmma.mma_async.sync.aligned.m64n" #columns kind \
                 " {" UNET_SUMS##count "}, %" #a_ ", %" #b_ ", p, 1, 1" tail "; }"                             \
                 : UNET_OUT##count                                                                             \
                 : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));                                         \
  }
#define UNET_WGMMAS(kind, tail)                                                                          \
  static_assert(kN == 64 || kN == 128 || kN == 160 || kN == 176 || kN == 208 || kN == 224 || kN == 256); \
  UNET_WGMMA(64, kind, tail, 32, 32, 33, 34)                                                             \
  UNET_WGMMA(128, kind, tail, 64, 64, 65, 66)                                                            \
  UNET_WGMMA(160, kind, tail, 80, 80, 81, 82)                                                            \
  UNET_WGMMA(176, kind, tail, 88, 88, 89, 90)                                                            \
  UNET_WGMMA(208, kind, tail, 104, 104, 105, 106)                                                        \
  UNET_WGMMA(224, kind, tail, 112, 112, 113, 114)                                                        \
  UNET_WGMMA(256, kind, tail, 128, 128, 129, 130)

/// d = a*b, or d += a*b where `accumulate`: 64 rows of a, kN columns, k = 16 bf16 (32 bytes), f32 sums. `a` and `b` are
/// matrix descriptors of rows of a and of columns of b. Thread t of the warpgroup holds in d[4*j + 2*h + i] row
/// t/32*16 + h*8 + t%32/4, column 8*j + t%4*2 + i.
template <int kN>
__device__ __forceinline__ void wgmma_bf16(float (&d)[kN / 2], uint64_t a, uint64_t b, bool accumulate) {
  UNET_WGMMAS("k16.f32.bf16.bf16", ", 0, 0")
}
/// The same with k = 8 tf32 (32 bytes).
template <int kN>
__device__ __forceinline__ void wgmma_tf32(float (&d)[kN / 2], uint64_t a, uint64_t b, bool accumulate) {
  UNET_WGMMAS("k8.f32.tf32.tf32", "")
}
#undef UNET_WGMMAS
#undef UNET_WGMMA
#undef UNET_OUT128
#undef UNET_OUT112
#undef UNET_OUT104
#undef UNET_OUT88
#undef UNET_OUT80
#undef UNET_OUT64
#undef UNET_OUT32
#undef UNET_OUT16
#undef UNET_OUT8
#undef UNET_OUT4
#undef UNET_SUMS128
#undef UNET_SUMS112
#undef UNET_SUMS104
#undef UNET_SUMS88
#undef UNET_SUMS80
#undef UNET_SUMS64
#undef UNET_SUMS32

/// Keeps the compiler from moving uses of accumulators over a wgmma_wait() above or below.
template <int kCount>
__device__ __forceinline__ void keep_in_registers(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

/// Stores four 8x8 matrices of 16-bit elements, each transposed: the inverse of ldmatrix_x4_trans.
__device__ __forceinline__ void stmatrix_x4_trans(void* row, const uint32_t (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(row)),
               "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
               : "memory");
}

/// True in one of the warp's 32 threads, all of which call it.
__device__ __forceinline__ bool elect_one() {
  uint32_t elected;
  asm volatile("{ .reg .pred p; elect.sync _|p, 0xffffffff; selp.u32 %0, 1, 0, p; }" : "=r"(elected));
  return elected != 0;
}

/// Moves registers from one warpgroup to another; all of its warps call it.
template <int kRegisters>
__device__ __forceinline__ void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void lower_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
#endif  // UNET_SM90
#endif  // UNET_EMULATED

#if UNET_SM90
/// Matrix descriptor of a wgmma operand whose rows, K-major, are 128 bytes long and consecutive: base address / 16 in
/// bits 0..13, distance of groups of eight rows / 16 in bits 32..45, the 128-byte swizzle in bits 62..63 (PTX ISA,
/// "Matrix Descriptor Format"). Adding n / 16 to it moves the operand by n bytes: by 32 to the next step along K, by a
/// multiple of 1024 to other rows.
__device__ __forceinline__ uint64_t matrix_descriptor(const void* rows) {
  return static_cast<uint64_t>((shared_address(rows) & 0x3ffffU) >> 4) | uint64_t{1} << 16 | uint64_t{1024 >> 4} << 32 |
         uint64_t{1} << 62;
}
#endif

}  // namespace unet::kernels::gpu
