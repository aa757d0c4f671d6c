// What kernels call: the built-in variables, synchronisation, warp operations and atomics of the CUDA execution model.
// Nothing here is inlined into a kernel, whose accesses to memory alone are to be seen by the checker.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/emulated/site.h"
#include "kernels/emulated/vector_types.h"

namespace unet::kernels::emulated {

// Constant while a thread lives.
[[gnu::const]] uint3 thread_index() noexcept;
[[gnu::const]] uint3 block_index() noexcept;
[[gnu::const]] dim3 block_extent() noexcept;
[[gnu::const]] dim3 grid_extent() noexcept;

/// The block's dynamic shared memory.
[[gnu::const]] void* dynamic_shared() noexcept;
/// The block's object that is declared at `declaration`, an address of its own; allocated when first named.
void* static_shared(const void* declaration, size_t bytes, size_t alignment);

/// Barrier `id` for `threads` threads, or with 0 for all of the block.
void barrier(unsigned id, unsigned threads, Site site);
/// The same for all of the block; how many of its threads passed true.
unsigned barrier_count(bool predicate, Site site);

enum class Shuffle : uint8_t { from_lane, up, down, exclusive_or };
uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t value, unsigned operand, unsigned width, Site site);
/// The lanes of the mask whose predicate is true.
unsigned ballot(unsigned mask, bool predicate, Site site);
void sync_warp(unsigned mask, Site site);

enum class Reduction : uint8_t { add, minimum, maximum, bit_and, bit_or, bit_xor };
/// Integers are reduced as they are wide; minimum and maximum differ by sign.
unsigned reduce_warp(Reduction kind, unsigned mask, unsigned value, Site site);
int reduce_warp(Reduction kind, unsigned mask, int value, Site site);

enum class Atomic : uint8_t { add, minimum, maximum, exchange, bit_and, bit_or, bit_xor };
int atomic(Atomic kind, int* object, int value, Site site);
unsigned atomic(Atomic kind, unsigned* object, unsigned value, Site site);
unsigned long long atomic(Atomic kind, unsigned long long* object, unsigned long long value, Site site);
int compare_and_swap(int* object, int expected, int value, Site site);
unsigned compare_and_swap(unsigned* object, unsigned expected, unsigned value, Site site);
unsigned long long compare_and_swap(unsigned long long* object, unsigned long long expected, unsigned long long value,
                                    Site site);
/// __threadfence
void device_fence();

}  // namespace unet::kernels::emulated
