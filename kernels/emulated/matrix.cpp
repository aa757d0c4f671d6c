// Models of ldmatrix, mma.sync and the conversions of their operands.
#include <bit>
#include <cstring>

#include "kernels/emulated/models.h"
#include "kernels/emulated/scheduler.h"
#include "kernels/types.h"

namespace unet::kernels::emulated {
namespace {

float from_bf16(uint32_t bits) { return std::bit_cast<float>(bits << 16); }

uint32_t half_word(const void* p) {
  uint16_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

bool whole_warp(const Meeting& meeting, const char* instruction) {
  if (meeting.arrived == ~0U) return true;
  sm().report(Defect::divergent_collective, meeting.site,
              concat(instruction, ": expected all 32 lanes, got ", std::popcount(meeting.arrived)));
  return false;
}

struct LdmatrixSlot {
  uint32_t* r;
  const std::byte* row;
  int count;
  bool transposed;
};

// Lane l gets of every matrix the elements 2*(l%4) and 2*(l%4)+1 of row l/4; transposed, of column l/4.
void resolve_ldmatrix(Meeting& meeting) {
  if (!whole_warp(meeting, "ldmatrix")) return;
  const auto slot = [&](unsigned lane) -> const LdmatrixSlot& {
    return *static_cast<LdmatrixSlot*>(meeting.slots[lane]);
  };
  for (unsigned m = 0; m < static_cast<unsigned>(slot(0).count); ++m) {
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      const unsigned outer = lane / 4, inner = lane % 4 * 2;
      const auto element = [&](unsigned row, unsigned column) { return half_word(slot(m * 8 + row).row + column * 2); };
      slot(lane).r[m] = slot(lane).transposed ? element(inner, outer) | element(inner + 1, outer) << 16
                                              : element(outer, inner) | element(outer, inner + 1) << 16;
    }
  }
}

struct StmatrixSlot {
  const uint32_t* r;
  std::byte* row;
  int count;
  bool transposed;
};

// The inverse of ldmatrix.
void resolve_stmatrix(Meeting& meeting) {
  if (!whole_warp(meeting, "stmatrix")) return;
  const auto slot = [&](unsigned lane) -> const StmatrixSlot& {
    return *static_cast<StmatrixSlot*>(meeting.slots[lane]);
  };
  for (unsigned m = 0; m < static_cast<unsigned>(slot(0).count); ++m) {
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      const unsigned outer = lane / 4, inner = lane % 4 * 2;
      for (unsigned i = 0; i < 2; ++i) {
        const auto element = static_cast<uint16_t>(slot(lane).r[m] >> 16 * i);
        const unsigned row = slot(lane).transposed ? inner + i : outer,
                       column = slot(lane).transposed ? outer : inner + i;
        std::memcpy(slot(m * 8 + row).row + column * 2, &element, sizeof element);
      }
    }
  }
}

/// Checks the address that the running thread gives for a row; of `count` matrices the first 8 * count lanes give one.
bool check_row(const void* row, int count, const char* instruction, Site site) {
  Multiprocessor& m = sm();
  if (m.running().lane() >= static_cast<unsigned>(count) * 8) return false;
  if (!m.shared.contains(row, 16)) {
    m.abandon(Defect::bad_operand, site, concat(instruction, ": the row is not in shared memory"));
  }
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) {
    m.report(Defect::misaligned, site, concat(instruction, ": the row must be aligned to 16 bytes"));
  }
  return true;
}

struct MmaSlot {
  float* d;
  const uint32_t *a, *b;
};

// PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type" and "... mma.m16n8k8": with g = lane/4 and
// c = lane%4, register i of A holds row g + 8*(i%2), of B column g, of the sums row g + 8*(i/2), column 2*c + i%2.
template <int kDepth>
void resolve_mma(Meeting& meeting) {
  if (!whole_warp(meeting, "mma")) return;
  float a[16][kDepth], b[kDepth][8], d[16][8];
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    const auto& slot = *static_cast<MmaSlot*>(meeting.slots[lane]);
    const unsigned g = lane / 4, c = lane % 4;
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = g + 8 * (i % 2);
      if constexpr (kDepth == 16) {
        const unsigned k = 2 * c + 8 * (i / 2);
        a[row][k] = from_bf16(slot.a[i] & 0xffffU);
        a[row][k + 1] = from_bf16(slot.a[i] >> 16);
      } else {
        a[row][c + 4 * (i / 2)] = std::bit_cast<float>(slot.a[i] & ~0x1fffU);
      }
      d[g + 8 * (i / 2)][2 * c + i % 2] = slot.d[i];
    }
    for (unsigned i = 0; i < 2; ++i) {
      if constexpr (kDepth == 16) {
        const unsigned k = 2 * c + 8 * i;
        b[k][g] = from_bf16(slot.b[i] & 0xffffU);
        b[k + 1][g] = from_bf16(slot.b[i] >> 16);
      } else {
        b[c + 4 * i][g] = std::bit_cast<float>(slot.b[i] & ~0x1fffU);
      }
    }
  }
  for (int m = 0; m < 16; ++m) {
    for (int k = 0; k < kDepth; ++k) {
      for (int n = 0; n < 8; ++n) d[m][n] += a[m][k] * b[k][n];
    }
  }
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    const auto& slot = *static_cast<MmaSlot*>(meeting.slots[lane]);
    for (unsigned i = 0; i < 4; ++i) slot.d[i] = d[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2];
  }
}

}  // namespace

uint32_t shared_address(const void* p) {
  if (!sm().shared.contains(p)) {
    sm().abandon(Defect::bad_operand, sm().grid().site, "shared_address: the pointer is not one to shared memory");
  }
  return sm().shared.offset(p);
}

void ldmatrix(uint32_t* r, const void* row, int count, bool transposed, Site site) {
  if (check_row(row, count, "ldmatrix", site)) sm().checker.read(row, 16, site);
  LdmatrixSlot slot{r, static_cast<const std::byte*>(row), count, transposed};
  sm().meet(~0U, WarpOperation::ldmatrix, &slot, resolve_ldmatrix, site);
}

void stmatrix(void* row, const uint32_t* r, int count, bool transposed, Site site) {
  if (check_row(row, count, "stmatrix", site)) sm().checker.write(row, 16, site);
  StmatrixSlot slot{r, static_cast<std::byte*>(row), count, transposed};
  sm().meet(~0U, WarpOperation::stmatrix, &slot, resolve_stmatrix, site);
}

void mma_bf16(float* d, const uint32_t* a, const uint32_t* b, Site site) {
  MmaSlot slot{d, a, b};
  sm().meet(~0U, WarpOperation::mma, &slot, resolve_mma<16>, site);
}

void mma_tf32(float* d, const uint32_t* a, const uint32_t* b, Site site) {
  MmaSlot slot{d, a, b};
  sm().meet(~0U, WarpOperation::mma, &slot, resolve_mma<8>, site);
}

uint32_t to_tf32(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return 0x7fffffffU;  // NaN, in its canonical form
  if ((bits & 0x7fffffffU) == 0x7f800000U) return bits;
  return (bits + 0x1000U) & ~0x1fffU;  // half of the last place kept, added to the magnitude
}

uint32_t pack_bf16(float low, float high) { return uint32_t{bf16(low).bits} | uint32_t{bf16(high).bits} << 16; }

}  // namespace unet::kernels::emulated
