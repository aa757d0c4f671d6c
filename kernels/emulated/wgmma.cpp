#include "kernels/emulated/wgmma.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/emulated/models.h"
#include "kernels/emulated/scheduler.h"
#include "kernels/emulated/tensor_map.h"

namespace unet::kernels::emulated {
namespace {

constexpr unsigned kRows = 64;
constexpr unsigned kDepthBytes = 32;  // of one instruction: 16 bf16 or 8 tf32
constexpr unsigned kMaxColumns = 256;

/// PTX ISA, "Matrix Descriptor Format".
struct Descriptor {
  uint32_t address, leading, stride;  // bytes
  unsigned base_offset, swizzle_bytes;

  explicit Descriptor(uint64_t bits)
      : address(static_cast<uint32_t>(bits & 0x3fff) << 4),
        leading(static_cast<uint32_t>(bits >> 16 & 0x3fff) << 4),
        stride(static_cast<uint32_t>(bits >> 32 & 0x3fff) << 4),
        base_offset(static_cast<unsigned>(bits >> 49 & 7)) {
    constexpr unsigned kModes[] = {0, 128, 64, 32};
    swizzle_bytes = kModes[bits >> 62];
  }

  /// Offset of the 16 bytes `chunk` (0 or 1) of a K-major row: in groups of eight rows, `stride` bytes apart. Rows of a
  /// group are as long as the swizzle, or without one 16 bytes, with the second chunk `leading` bytes on.
  uint32_t chunk(unsigned row, unsigned chunk) const {
    const uint32_t group = address + row / 8 * stride;
    if (swizzle_bytes == 0) return group + row % 8 * 16 + chunk * leading;
    return swizzle(group + row % 8 * swizzle_bytes + chunk * 16, swizzle_bytes);
  }
};

/// Calls f(offset, row, chunk) for all of a matrix.
template <class F>
void for_each_chunk(uint64_t descriptor, unsigned rows, F f) {
  const Descriptor d(descriptor);
  for (unsigned row = 0; row < rows; ++row) {
    f(d.chunk(row, 0), row, 0U);
    f(d.chunk(row, 1), row, 1U);
  }
}

/// d[m][n] += a[m][k] * b[k][n]. Products of bf16 and of tf32 are exact in float: no difference with or without fma.
__attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) void multiply(
    const float* __restrict a, const float* __restrict b, float* __restrict d, unsigned depth, unsigned columns) {
  for (unsigned m = 0; m < kRows; ++m) {
    for (unsigned k = 0; k < depth; ++k) {
      const float factor = a[m * depth + k];
      for (unsigned n = 0; n < columns; ++n) d[m * columns + n] += factor * b[k * columns + n];
    }
  }
}

/// Calls f(element of the tile, register) for the sums that thread t holds: rows t/32*16 + t%32/4 and the eighth below,
/// columns t%4*2 and the next of every eight (PTX ISA, "Register Fragments for wgmma.mma_async.m64nNk16").
template <class F>
void for_each_sum(unsigned t, unsigned columns, F f) {
  for (unsigned i = 0; i < columns / 2; ++i) {
    const unsigned row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8;
    f(row * columns + i / 4 * 8 + t % 4 * 2 + i % 2, i);
  }
}

}  // namespace

void Warpgroup::clear() {
  queue_.clear();
  first_ = 0;
  issuers_.fill({});
  waiting_.clear();
  registers = 0;
}

void Warpgroup::check_operands(Multiprocessor& sm, const Wgmma& w) {
  if (w.columns < 8 || w.columns > static_cast<int>(kMaxColumns) || w.columns % 8 != 0) {
    sm.abandon(Defect::bad_operand, w.site, concat("wgmma: expected 8, 16, .. or 256 columns, got ", w.columns));
  }
  const auto check = [&](uint64_t bits, unsigned rows, const char* name) {
    if (Descriptor(bits).base_offset != 0) {
      sm.report(Defect::bad_operand, w.site,
                concat("wgmma: base offset of ", name, ": expected 0, as of aligned tiles"));
    }
    for_each_chunk(bits, rows, [&](uint32_t offset, unsigned row, unsigned) {
      if (!sm.shared.allocated(offset, 16)) {
        sm.abandon(Defect::out_of_bounds_shared, w.site,
                   concat("wgmma: row ", row, " of ", name, " lies outside of the block's shared memory"));
      }
    });
  };
  check(w.a, kRows, "a");
  check(w.b, static_cast<unsigned>(w.columns), "b");
}

void Warpgroup::issue(Multiprocessor& sm, Wgmma wgmma, float* sums) {
  Thread& t = sm.running();
  const unsigned warpgroup = t.linear / kWarpgroupSize, within = t.linear % kWarpgroupSize;
  Issuer& issuer = issuers_[within];
  const uint64_t number = issuer.issued++ - first_;
  if (number == queue_.size()) {
    check_operands(sm, wgmma);
    wgmma.agent = sm.checker.start_wgmma(warpgroup);
    queue_.push_back(wgmma);
  }
  Wgmma& w = queue_[number];
  if (w.a != wgmma.a || w.b != wgmma.b || w.columns != wgmma.columns || w.tf32 != wgmma.tf32 ||
      w.accumulate != wgmma.accumulate) {
    sm.report(Defect::bad_operand, wgmma.site,
              concat("wgmma: ", name_of(t), " has other operands than the first thread of its warpgroup, at line ",
                     w.site.line));
  }
  sm.checker.begin_wgmma(sums, static_cast<size_t>(wgmma.columns) / 2 * sizeof(float), wgmma.site);
  if (t.lane() == 0) {
    const auto read = [&](uint32_t offset, unsigned, unsigned) {
      sm.checker.agent_reads(w.agent, sm.shared.base() + offset, 16, wgmma.site);
    };
    for_each_chunk(w.a, kRows, read);
    for_each_chunk(w.b, static_cast<unsigned>(w.columns), read);
  }
  w.sums[within] = sums;
  if (++w.issued < kWarpgroupSize) return;
  if (sm.completes_now()) {
    for (Wgmma& ready : queue_) {
      if (ready.issued == kWarpgroupSize) perform(sm, ready);
    }
  }
  for (const Thread* thread : waiting_) sm.wake(thread->linear);
  waiting_.clear();
}

void Warpgroup::perform(Multiprocessor& sm, Wgmma& w) {
  if (std::exchange(w.performed, true)) return;
  const auto columns = static_cast<unsigned>(w.columns);
  const unsigned per_chunk = w.tf32 ? 4 : 8, depth = 2 * per_chunk;
  static thread_local std::array<float, kRows * 16> a;
  static thread_local std::array<float, 16 * kMaxColumns> b;
  static thread_local std::array<float, kRows * kMaxColumns> d;
  const auto load = [&](uint32_t offset, float* to, unsigned step) {
    if (w.tf32) {
      uint32_t words[4];
      std::memcpy(words, sm.shared.base() + offset, 16);
      for (unsigned i = 0; i < 4; ++i) to[i * step] = std::bit_cast<float>(words[i] & ~0x1fffU);
    } else {
      uint16_t halves[8];
      std::memcpy(halves, sm.shared.base() + offset, 16);
      for (unsigned i = 0; i < 8; ++i) to[i * step] = std::bit_cast<float>(uint32_t{halves[i]} << 16);
    }
  };
  for_each_chunk(w.a, kRows, [&](uint32_t offset, unsigned row, unsigned chunk) {
    load(offset, &a[row * depth + chunk * per_chunk], 1);
  });
  for_each_chunk(w.b, columns, [&](uint32_t offset, unsigned column, unsigned chunk) {
    load(offset, &b[chunk * per_chunk * columns + column], columns);
  });
  for (unsigned t = 0; t < kWarpgroupSize; ++t) {
    for_each_sum(t, columns, [&](unsigned element, unsigned i) { d[element] = w.accumulate ? w.sums[t][i] : 0.0F; });
  }
  multiply(a.data(), b.data(), d.data(), depth, columns);
  for (unsigned t = 0; t < kWarpgroupSize; ++t) {
    for_each_sum(t, columns, [&](unsigned element, unsigned i) { w.sums[t][i] = d[element]; });
  }
}

void Warpgroup::commit(Multiprocessor& sm) {
  Issuer& issuer = issuers_[sm.running().linear % kWarpgroupSize];
  issuer.groups.push_back({issuer.issued});
}

void Warpgroup::wait(Multiprocessor& sm, int pending, Site site) {
  const unsigned within = sm.running().linear % kWarpgroupSize;
  Issuer& issuer = issuers_[within];
  const auto groups = static_cast<int>(issuer.groups.size()) - pending;
  if (groups <= 0) return;
  const uint64_t end = issuer.groups[static_cast<size_t>(groups) - 1].end;
  issuer.groups.erase(issuer.groups.begin(), issuer.groups.begin() + groups);
  for (; issuer.finished < end; ++issuer.finished) {
    while (queue_[issuer.finished - first_].issued < kWarpgroupSize) {
      waiting_.push_back(&sm.running());
      sm.wait("a wgmma that other threads of the warpgroup have not issued", site);
    }
    Wgmma& w = queue_[issuer.finished - first_];
    perform(sm, w);
    sm.checker.end_wgmma(w.sums[within]);
    sm.checker.join(w.agent);
  }
  const auto least = std::min_element(issuers_.begin(), issuers_.end(),
                                      [](const Issuer& x, const Issuer& y) { return x.finished < y.finished; });
  for (; first_ < least->finished; ++first_) queue_.pop_front();
}

const Site* Warpgroup::unfinished(unsigned thread) const {
  const Issuer& issuer = issuers_[thread];
  return issuer.finished == issuer.issued ? nullptr : &queue_[issuer.finished - first_].site;
}

namespace {

Warpgroup& warpgroup(const char* instruction, Site site) {
  Multiprocessor& m = sm();
  const unsigned index = m.running().linear / kWarpgroupSize;
  if ((index + 1) * kWarpgroupSize > m.threads()) {
    m.abandon(Defect::bad_operand, site, concat(instruction, ": expected a warpgroup of 128 threads"));
  }
  return m.warpgroup(index);
}

}  // namespace

void wgmma_fence(Site /*site*/) { sm().checker.wgmma_fence(); }
void wgmma_commit(Site site) { warpgroup("wgmma.commit_group", site).commit(sm()); }
void wgmma_wait(int pending, Site site) { warpgroup("wgmma.wait_group", site).wait(sm(), pending, site); }

void wgmma_bf16(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, Site site) {
  warpgroup("wgmma", site).issue(sm(), {false, columns, a, b, accumulate, site}, d);
}
void wgmma_tf32(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, Site site) {
  warpgroup("wgmma", site).issue(sm(), {true, columns, a, b, accumulate, site}, d);
}

void set_max_registers(int count, bool raise, Site site) {
  if (count < 24 || count > 256 || count % 8 != 0) {
    sm().abandon(Defect::bad_operand, site, concat("setmaxnreg: expected 24, 32, .. or 256, got ", count));
  }
  Warpgroup& group = warpgroup("setmaxnreg", site);
  const auto wanted = static_cast<unsigned>(count);
  if (group.registers != 0 && (raise ? wanted < group.registers : wanted > group.registers)) {
    sm().report(Defect::bad_operand, site,
                concat("setmaxnreg: the warpgroup has ", group.registers, " registers already, got ", count));
  }
  group.registers = wanted;
  group.registers_site = site;
}

}  // namespace unet::kernels::emulated
