// A tensor in global memory and the box that one TMA instruction copies: the emulator's CUtensorMap.
#pragma once

#include <cstddef>
#include <cstdint>

namespace unet::kernels::emulated {

struct alignas(64) TensorMap {
  std::byte* base = nullptr;
  int element_bytes = 0;
  bool tf32 = false;  // loads round to it
  int rank = 0;
  int64_t size[5] = {};    // elements, innermost first
  int64_t stride[5] = {};  // bytes
  int box[5] = {};         // elements
  unsigned swizzle_bytes = 0;
};

/// What cuTensorMapEncodeTiled takes; `stride` in bytes, [0] not used. Throws DeviceError for what it would refuse.
TensorMap make_tensor_map(const void* base, int element_bytes, bool tf32, int rank, const uint64_t* size,
                          const uint64_t* stride, const uint32_t* box, unsigned swizzle_bytes);

/// Where byte `offset` of a tile lies whose rows are `swizzle_bytes` long: 0 (as it is), 32, 64 or 128. In groups of 8
/// rows of 128 bytes, bits 4.. of the offset are combined with bits 7.. (PTX ISA, "Swizzling Modes").
constexpr uint32_t swizzle(uint32_t offset, unsigned swizzle_bytes) {
  return swizzle_bytes == 0 ? offset : offset ^ (offset >> 3 & (swizzle_bytes - 16));
}

}  // namespace unet::kernels::emulated
