// What the checker remembers of memory: for every two bytes the last write and two reads.
#pragma once

#include <cstddef>
#include <cstdint>

namespace unet::kernels::emulated {

/// Who touched a cell, when and where, in 64 bits:
///
///     clock:24 | actor:11 | bytes:2 | atomic:1 | place:26
///
/// Clocks of threads count from 2 on and never go back, over all blocks and launches, so that everything before a
/// block, a launch or a barrier of all threads is older than one number. Clocks of asynchronous agents have their top
/// bit set and are counted apart. `bytes` tells which of the cell's two bytes were touched. Clock 0 is memory that
/// nobody wrote.
using Record = uint64_t;

constexpr int kClockShift = 40, kActorShift = 29, kBytesShift = 27, kAtomicShift = 26;
constexpr uint32_t kActors = 1U << 11, kThreads = 1024;  // actors from kThreads on are agents
constexpr uint32_t kAgentClock = 1U << 23;               // the first clock of agents
constexpr uint32_t kPendingClock = (1U << 24) - 1;       // a copy whose thread has not waited for it
constexpr uint32_t kHostClock = 1, kFirstClock = 2;
constexpr Record kBothBytes = Record{3} << kBytesShift, kAtomic = Record{1} << kAtomicShift;
constexpr uint32_t kPlaceMask = (1U << kAtomicShift) - 1;

constexpr Record kNotAllocated = 0, kFreed = 1, kUndefined = 2;  // values of the write record with clock 0

constexpr Record at_clock(uint32_t clock) { return Record{clock} << kClockShift; }
constexpr Record record_of(uint32_t clock, uint32_t actor) {
  return at_clock(clock) | Record{actor} << kActorShift | kBothBytes;
}
constexpr uint32_t clock_of(Record r) { return static_cast<uint32_t>(r >> kClockShift); }
constexpr uint32_t actor_of(Record r) { return static_cast<uint32_t>(r >> kActorShift) & (kActors - 1); }
constexpr uint32_t place_of(Record r) { return static_cast<uint32_t>(r) & kPlaceMask; }
constexpr bool is_atomic(Record r) { return (r & kAtomic) != 0; }
constexpr bool touch_same_byte(Record a, Record b) { return (a & b & kBothBytes) != 0; }
constexpr bool is_by_agent(Record r) { return clock_of(r) >= kAgentClock && clock_of(r) != kPendingClock; }
constexpr bool is_pending(Record r) { return clock_of(r) == kPendingClock; }

/// A range of memory and its records, which grow with the part of it that is in use.
struct Shadow {
  const std::byte* base = nullptr;
  size_t bytes = 0;             // from base on, that have records
  Record* writes = nullptr;     // [bytes/2]
  Record* reads = nullptr;      // [bytes/2] the latest reader
  Record* reads_too = nullptr;  // [bytes/2] an earlier one that is in no order with it

  bool contains(const void* p) const { return static_cast<size_t>(static_cast<const std::byte*>(p) - base) < bytes; }
  size_t cell_of(const void* p) const { return static_cast<size_t>(static_cast<const std::byte*>(p) - base) / 2; }

  void grow(size_t to_bytes);  // throws OutOfMemory
  void unmap() noexcept;
  void forget() noexcept;  // every record back to zero
};

}  // namespace unet::kernels::emulated
