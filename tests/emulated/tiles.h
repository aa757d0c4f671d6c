// What the tests of tiles in shared memory have in common.
#pragma once

#include "tests/emulated/support.h"
// After the names of its memcpy.
#include "kernels/cuda/sm90/ptx.cuh"

namespace unet::kernels::gpu {

/// The first address of the dynamic shared memory that is aligned to 1024, as swizzled tiles want it.
__device__ inline unsigned char* aligned_tile() {
  unsigned char* p = dynamic_shared();
  return p + (1024 - shared_address(p) % 1024) % 1024;
}

/// Where row `row`, byte `byte` of a tile lies: the 16-byte pieces of a 128-byte line are exchanged by the line's
/// number modulo 8, 4 or 2 (CUDA Driver API, CUtensorMapSwizzle).
inline unsigned place(unsigned row, unsigned byte, unsigned swizzle_bytes, unsigned row_bytes) {
  if (swizzle_bytes == 0) return row * row_bytes + byte;
  const unsigned at = row * swizzle_bytes + byte, line = at / 128;
  const unsigned piece = at / 16 % 8 ^ line % 8 % (swizzle_bytes / 16);
  return line * 128 + piece * 16 + at % 16;
}

}  // namespace unet::kernels::gpu
