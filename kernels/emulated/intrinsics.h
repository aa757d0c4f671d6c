// CUDA's device functions by their names. They live in the kernels' own namespace, so that C library names such as
// __expf are not touched, and are inlined into the kernels.
#pragma once

#include <math.h>  // isnan and others without std::

#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/emulated/runtime.h"

/// The kernels' namespace: another one than the cuda target's, so that both can be linked into one program.
#define gpu gpu_emulated

/// A function between a kernel and the emulator; UNET_SITE, as its last parameter, is the line that calls it.
#define UNET_MODEL __attribute__((always_inline)) inline
#define UNET_SITE ::unet::kernels::emulated::Site site = ::unet::kernels::emulated::Site::here()

namespace unet::kernels::gpu {

// --- Synchronisation
UNET_MODEL void __syncthreads(UNET_SITE) { emulated::barrier(0, 0, site); }
UNET_MODEL int __syncthreads_count(int p, UNET_SITE) { return static_cast<int>(emulated::barrier_count(p != 0, site)); }
UNET_MODEL int __syncthreads_or(int p, UNET_SITE) { return emulated::barrier_count(p != 0, site) != 0; }
UNET_MODEL int __syncthreads_and(int p, UNET_SITE) { return emulated::barrier_count(p == 0, site) == 0; }
UNET_MODEL void __syncwarp(unsigned mask = ~0U, UNET_SITE) { emulated::sync_warp(mask, site); }
UNET_MODEL void __threadfence() { emulated::device_fence(); }
UNET_MODEL void __threadfence_block() {}

// --- Warp operations
template <class T>
UNET_MODEL T shuffle(emulated::Shuffle kind, unsigned mask, T value, unsigned operand, int width, emulated::Site site) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
  if constexpr (sizeof(T) == 4) {
    const auto bits =
        emulated::shuffle(kind, mask, std::bit_cast<uint32_t>(value), operand, static_cast<unsigned>(width), site);
    return std::bit_cast<T>(static_cast<uint32_t>(bits));
  } else {
    return std::bit_cast<T>(
        emulated::shuffle(kind, mask, std::bit_cast<uint64_t>(value), operand, static_cast<unsigned>(width), site));
  }
}
template <class T>
UNET_MODEL T __shfl_sync(unsigned mask, T value, int lane, int width = 32, UNET_SITE) {
  return shuffle(emulated::Shuffle::from_lane, mask, value, static_cast<unsigned>(lane), width, site);
}
template <class T>
UNET_MODEL T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, UNET_SITE) {
  return shuffle(emulated::Shuffle::up, mask, value, delta, width, site);
}
template <class T>
UNET_MODEL T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, UNET_SITE) {
  return shuffle(emulated::Shuffle::down, mask, value, delta, width, site);
}
template <class T>
UNET_MODEL T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, UNET_SITE) {
  return shuffle(emulated::Shuffle::exclusive_or, mask, value, static_cast<unsigned>(lanes), width, site);
}
UNET_MODEL unsigned __ballot_sync(unsigned mask, int p, UNET_SITE) { return emulated::ballot(mask, p != 0, site); }
UNET_MODEL int __any_sync(unsigned mask, int p, UNET_SITE) { return emulated::ballot(mask, p != 0, site) != 0; }
UNET_MODEL int __all_sync(unsigned mask, int p, UNET_SITE) { return emulated::ballot(mask, p == 0, site) == 0; }

#define UNET_REDUCE(name, T, kind)                                              \
  UNET_MODEL T name(unsigned mask, T value, UNET_SITE) {                        \
    return emulated::reduce_warp(emulated::Reduction::kind, mask, value, site); \
  }
UNET_REDUCE(__reduce_add_sync, int, add)
UNET_REDUCE(__reduce_add_sync, unsigned, add)
UNET_REDUCE(__reduce_min_sync, int, minimum)
UNET_REDUCE(__reduce_min_sync, unsigned, minimum)
UNET_REDUCE(__reduce_max_sync, int, maximum)
UNET_REDUCE(__reduce_max_sync, unsigned, maximum)
UNET_REDUCE(__reduce_and_sync, unsigned, bit_and)
UNET_REDUCE(__reduce_or_sync, unsigned, bit_or)
UNET_REDUCE(__reduce_xor_sync, unsigned, bit_xor)
#undef UNET_REDUCE

// --- Atomics: of integers only, for sums of floats would depend on the order of the threads
#define UNET_ATOMIC(name, T, kind)                                        \
  UNET_MODEL T name(T* object, T value, UNET_SITE) {                      \
    return emulated::atomic(emulated::Atomic::kind, object, value, site); \
  }
#define UNET_ATOMICS(T)                                               \
  UNET_ATOMIC(atomicAdd, T, add)                                      \
  UNET_ATOMIC(atomicMin, T, minimum)                                  \
  UNET_ATOMIC(atomicMax, T, maximum)                                  \
  UNET_ATOMIC(atomicExch, T, exchange)                                \
  UNET_ATOMIC(atomicAnd, T, bit_and)                                  \
  UNET_ATOMIC(atomicOr, T, bit_or)                                    \
  UNET_ATOMIC(atomicXor, T, bit_xor)                                  \
  UNET_MODEL T atomicCAS(T* object, T expected, T value, UNET_SITE) { \
    return emulated::compare_and_swap(object, expected, value, site); \
  }
UNET_ATOMICS(int)
UNET_ATOMICS(unsigned)
UNET_ATOMICS(unsigned long long)
#undef UNET_ATOMICS
#undef UNET_ATOMIC

// --- Loads and stores with hints for the caches
template <class T>
UNET_MODEL T __ldg(const T* p) {
  return *p;
}
template <class T>
UNET_MODEL T __ldcs(const T* p) {
  return *p;
}
template <class T>
UNET_MODEL T __ldcg(const T* p) {
  return *p;
}
template <class T>
UNET_MODEL T __ldlu(const T* p) {
  return *p;
}
template <class T>
UNET_MODEL void __stcs(T* p, T value) {
  *p = value;
}
template <class T>
UNET_MODEL void __stcg(T* p, T value) {
  *p = value;
}

// --- Bits
UNET_MODEL unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
UNET_MODEL int __float_as_int(float x) { return std::bit_cast<int>(x); }
UNET_MODEL float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
UNET_MODEL float __int_as_float(int x) { return std::bit_cast<float>(x); }
UNET_MODEL int __popc(unsigned x) { return std::popcount(x); }
UNET_MODEL int __popcll(unsigned long long x) { return std::popcount(x); }
UNET_MODEL int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
UNET_MODEL int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
UNET_MODEL int __ffs(int x) { return __builtin_ffs(x); }
UNET_MODEL int __ffsll(long long x) { return __builtin_ffsll(x); }
UNET_MODEL unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t{a} * b >> 32); }
UNET_MODEL int __mulhi(int a, int b) { return static_cast<int>(int64_t{a} * b >> 32); }
/// Bytes of b:a, chosen by the low three bits of the four digits of the selector.
UNET_MODEL unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const uint64_t bytes = uint64_t{b} << 32 | a;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) result |= static_cast<unsigned>(bytes >> (selector >> 4 * i & 7U) * 8 & 0xffU) << 8 * i;
  return result;
}

// --- Arithmetic. The fast approximations of the GPU are computed exactly.
UNET_MODEL float __expf(float x) { return ::expf(x); }
UNET_MODEL float __logf(float x) { return ::logf(x); }
UNET_MODEL float __fdividef(float a, float b) { return a / b; }
UNET_MODEL float __frcp_rn(float x) { return 1.0F / x; }
UNET_MODEL float __fadd_rn(float a, float b) { return a + b; }
UNET_MODEL float __fsub_rn(float a, float b) { return a - b; }
UNET_MODEL float __fmul_rn(float a, float b) { return a * b; }
UNET_MODEL float __fdiv_rn(float a, float b) { return a / b; }
UNET_MODEL float __fsqrt_rn(float x) { return ::sqrtf(x); }
UNET_MODEL float __fmaf_rn(float a, float b, float c) { return ::fmaf(a, b, c); }
UNET_MODEL float rsqrtf(float x) { return 1.0F / ::sqrtf(x); }
UNET_MODEL int __float2int_rn(float x) { return static_cast<int>(::rintf(x)); }
UNET_MODEL unsigned __float2uint_rn(float x) { return static_cast<unsigned>(::rintf(x)); }

// As CUDA's overloads: mixed signs compare as unsigned, NaN gives way to a number.
#define UNET_MIN_MAX(T)                                \
  UNET_MODEL T min(T a, T b) { return b < a ? b : a; } \
  UNET_MODEL T max(T a, T b) { return a < b ? b : a; }
#define UNET_MIN_MAX_MIXED(Signed, Unsigned)                                                 \
  UNET_MODEL Unsigned min(Signed a, Unsigned b) { return min(static_cast<Unsigned>(a), b); } \
  UNET_MODEL Unsigned min(Unsigned a, Signed b) { return min(a, static_cast<Unsigned>(b)); } \
  UNET_MODEL Unsigned max(Signed a, Unsigned b) { return max(static_cast<Unsigned>(a), b); } \
  UNET_MODEL Unsigned max(Unsigned a, Signed b) { return max(a, static_cast<Unsigned>(b)); }
UNET_MIN_MAX(int)
UNET_MIN_MAX(unsigned)
UNET_MIN_MAX(long)
UNET_MIN_MAX(unsigned long)
UNET_MIN_MAX(long long)
UNET_MIN_MAX(unsigned long long)
UNET_MIN_MAX_MIXED(int, unsigned)
UNET_MIN_MAX_MIXED(long, unsigned long)
UNET_MIN_MAX_MIXED(long long, unsigned long long)
UNET_MODEL float min(float a, float b) { return ::fminf(a, b); }
UNET_MODEL float max(float a, float b) { return ::fmaxf(a, b); }
#undef UNET_MIN_MAX_MIXED
#undef UNET_MIN_MAX

}  // namespace unet::kernels::gpu
