// The vector types of CUDA C++, with its names, members and alignments.
#pragma once

#include <cstdint>

namespace unet::kernels::emulated {

#define UNET_VECTOR2(Type, Element, bytes) \
  struct alignas(bytes) Type {             \
    Element x, y;                          \
  };                                       \
  __attribute__((always_inline)) inline Type make_##Type(Element x, Element y) { return {x, y}; }
#define UNET_VECTOR3(Type, Element) \
  struct Type {                     \
    Element x, y, z;                \
  };                                \
  __attribute__((always_inline)) inline Type make_##Type(Element x, Element y, Element z) { return {x, y, z}; }
#define UNET_VECTOR4(Type, Element, bytes)                                                             \
  struct alignas(bytes) Type {                                                                         \
    Element x, y, z, w;                                                                                \
  };                                                                                                   \
  __attribute__((always_inline)) inline Type make_##Type(Element x, Element y, Element z, Element w) { \
    return {x, y, z, w};                                                                               \
  }

UNET_VECTOR2(uchar2, uint8_t, 2)
UNET_VECTOR2(ushort2, uint16_t, 4)
UNET_VECTOR2(int2, int, 8)
UNET_VECTOR2(uint2, unsigned, 8)
UNET_VECTOR2(float2, float, 8)
UNET_VECTOR2(longlong2, long long, 16)
UNET_VECTOR2(ulonglong2, unsigned long long, 16)
UNET_VECTOR3(int3, int)
UNET_VECTOR3(uint3, unsigned)
UNET_VECTOR3(float3, float)
UNET_VECTOR4(uchar4, uint8_t, 4)
UNET_VECTOR4(ushort4, uint16_t, 8)
UNET_VECTOR4(int4, int, 16)
UNET_VECTOR4(uint4, unsigned, 16)
UNET_VECTOR4(float4, float, 16)

#undef UNET_VECTOR4
#undef UNET_VECTOR3
#undef UNET_VECTOR2

/// An extent in up to three dimensions.
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1)  // NOLINT(google-explicit-constructor): as CUDA's
      : x(x_), y(y_), z(z_) {}
  constexpr uint64_t count() const { return uint64_t{x} * y * z; }
};

}  // namespace unet::kernels::emulated
