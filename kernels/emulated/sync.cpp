// Barriers, warp operations and atomics.
#include <algorithm>
#include <bit>

#include "kernels/emulated/runtime.h"
#include "kernels/emulated/scheduler.h"

namespace unet::kernels::emulated {

uint3 thread_index() noexcept { return sm().running().index; }
uint3 block_index() noexcept { return sm().block_index(); }
dim3 block_extent() noexcept { return sm().grid().block; }
dim3 grid_extent() noexcept { return sm().grid().grid; }
void* dynamic_shared() noexcept { return sm().shared.dynamic(); }

void* static_shared(const void* declaration, size_t bytes, size_t alignment) {
  bool fresh = false;
  std::byte* object = sm().shared.object(declaration, bytes, alignment, fresh);
  if (sm().shared.used_bytes() > sm().shared_limit()) {
    sm().abandon(Defect::bad_launch, sm().grid().site,
                 concat("launch: expected at most ", sm().shared_limit(), " bytes of shared memory, got ",
                        sm().shared.used_bytes(), " with the objects that the kernel declares"));
  }
  if (fresh) sm().checker.declare_shared(object, bytes);
  return object;
}

// --- Barriers

namespace {

unsigned pass(unsigned id, unsigned threads, bool predicate, Site site) {
  Multiprocessor& m = sm();
  Thread& t = m.running();
  if (id >= kBarriers) m.abandon(Defect::bad_operand, site, concat("barrier: expected number 0 to 15, got ", id));
  if (threads % kWarpSize != 0) {
    m.report(Defect::bad_operand, site, concat("barrier: expected a multiple of 32 threads, got ", threads));
  }
  if (threads == 0 && m.live() != m.threads()) {
    m.report(Defect::divergent_barrier, site,
             concat("barrier of the block: ", m.threads() - m.live(), " of its ", m.threads(), " threads have ended"));
  }
  Barrier& b = m.barrier(id);
  const unsigned expected = threads == 0 ? m.threads() : threads;
  if (b.arrived.empty()) {
    b.expected = expected;
    b.site = site;
    b.votes = 0;
  } else if (b.site.line != site.line || b.site.file != site.file || b.expected != expected) {
    m.report(Defect::divergent_barrier, site,
             concat("barrier ", id, " for ", expected, " threads: ", name_of(m.thread(b.arrived.front())),
                    " waits at line ", b.site.line, " for ", b.expected));
  }
  b.votes += predicate ? 1 : 0;
  b.arrived.push_back(t.linear);
  // Threads that have ended are not waited for: that is reported, and need not end in a deadlock too.
  if (b.arrived.size() < (threads == 0 ? m.live() : expected)) {
    m.wait("a barrier", site);
    return t.barrier_votes;
  }
  if (b.arrived.size() == m.threads()) {
    m.checker.barrier();
  } else {
    m.checker.barrier(b.arrived);
  }
  for (const unsigned linear : b.arrived) {
    m.thread(linear).barrier_votes = b.votes;
    if (linear != t.linear) m.wake(linear);
  }
  b.arrived.clear();
  return t.barrier_votes;
}

}  // namespace

void barrier(unsigned id, unsigned threads, Site site) { pass(id, threads, false, site); }
unsigned barrier_count(bool predicate, Site site) { return pass(0, 0, predicate, site); }

// --- Warp operations

void Multiprocessor::meet(unsigned mask, WarpOperation operation, void* slot, Resolve resolve, Site site) {
  Thread& t = *running_;
  Warp& w = warp();
  const unsigned bit = 1U << t.lane();
  if ((mask & bit) == 0) {
    abandon(Defect::bad_operand, site, concat("warp operation: lane ", t.lane(), " is not in its own mask ", mask));
  }
  size_t i = 0;
  while (i < w.meetings.size() && w.meetings[i].mask != mask) ++i;
  if (i == w.meetings.size()) w.meetings.push_back({mask, operation, site});
  Meeting& meeting = w.meetings[i];
  if (meeting.operation != operation || meeting.site.line != site.line) {
    abandon(Defect::divergent_collective, site,
            concat("warp operation: other lanes of the same mask are in one at line ", meeting.site.line));
  }
  if ((meeting.arrived & bit) != 0) {
    abandon(Defect::divergent_collective, site, concat("warp operation: lane ", t.lane(), " comes twice"));
  }
  meeting.arrived |= bit;
  meeting.slots[t.lane()] = slot;
  if (meeting.arrived == (mask & w.present & ~w.exited)) {
    finish(w, i, resolve);
  } else {
    wait("a warp operation", site);
  }
}

void Multiprocessor::finish(Warp& w, size_t i, Resolve resolve) {
  Meeting meeting = w.meetings[i];
  w.meetings.erase(w.meetings.begin() + static_cast<std::ptrdiff_t>(i));
  if (resolve != nullptr) resolve(meeting);
  const unsigned first = running_->warp() * kWarpSize;
  if (meeting.operation == WarpOperation::sync) {
    std::array<unsigned, kWarpSize> met;
    size_t count = 0;
    for (unsigned rest = meeting.arrived; rest != 0; rest &= rest - 1) {
      met[count++] = first + static_cast<unsigned>(std::countr_zero(rest));
    }
    checker.barrier(std::span<const unsigned>(met.data(), count));
  }
  for (unsigned rest = meeting.arrived & ~(1U << running_->lane()); rest != 0; rest &= rest - 1) {
    wake(first + static_cast<unsigned>(std::countr_zero(rest)));
  }
}

void sync_warp(unsigned mask, Site site) { sm().meet(mask, WarpOperation::sync, nullptr, nullptr, site); }

namespace {

struct ShuffleSlot {
  Shuffle kind;
  uint64_t value, result;
  unsigned operand, width;
};

/// The lane of which `lane` gets the value (CUDA C++ Programming Guide, "Warp Shuffle Functions").
unsigned source_lane(const ShuffleSlot& s, unsigned lane) {
  const unsigned within = lane % s.width, first = lane - within;
  switch (s.kind) {
    case Shuffle::from_lane:
      return first + s.operand % s.width;
    case Shuffle::up:
      return within >= s.operand ? lane - s.operand : lane;
    case Shuffle::down:
      return within + s.operand < s.width ? lane + s.operand : lane;
    case Shuffle::exclusive_or:
      break;
  }
  // A lane of a higher segment is out of reach, one of a lower segment is not.
  const unsigned source = lane ^ s.operand;
  return source < first + s.width ? source : lane;
}

void resolve_shuffle(Meeting& meeting) {
  for (unsigned rest = meeting.arrived; rest != 0; rest &= rest - 1) {
    const auto lane = static_cast<unsigned>(std::countr_zero(rest));
    auto& slot = *static_cast<ShuffleSlot*>(meeting.slots[lane]);
    const unsigned source = source_lane(slot, lane);
    if (source >= kWarpSize || (meeting.arrived >> source & 1U) == 0) {
      sm().report(Defect::divergent_collective, meeting.site,
                  concat("shuffle: lane ", lane, " reads lane ", source, ", which takes no part"));
      slot.result = ~uint64_t{0};
    } else {
      slot.result = static_cast<ShuffleSlot*>(meeting.slots[source])->value;
    }
  }
}

struct VoteSlot {
  bool predicate;
  unsigned result;
};

void resolve_ballot(Meeting& meeting) {
  unsigned votes = 0;
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    if ((meeting.arrived >> lane & 1U) != 0 && static_cast<VoteSlot*>(meeting.slots[lane])->predicate)
      votes |= 1U << lane;
  }
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    if ((meeting.arrived >> lane & 1U) != 0) static_cast<VoteSlot*>(meeting.slots[lane])->result = votes;
  }
}

template <class T>
struct ReduceSlot {
  Reduction kind;
  T value, result;
};

template <class T>
T combine(Reduction kind, T a, T b) {
  switch (kind) {
    case Reduction::add:
      return static_cast<T>(static_cast<unsigned>(a) + static_cast<unsigned>(b));
    case Reduction::minimum:
      return std::min(a, b);
    case Reduction::maximum:
      return std::max(a, b);
    case Reduction::bit_and:
      return a & b;
    case Reduction::bit_or:
      return a | b;
    case Reduction::bit_xor:
      break;
  }
  return a ^ b;
}

template <class T>
void resolve_reduce(Meeting& meeting) {
  const auto slot = [&](unsigned lane) -> ReduceSlot<T>& { return *static_cast<ReduceSlot<T>*>(meeting.slots[lane]); };
  const auto first = static_cast<unsigned>(std::countr_zero(meeting.arrived));
  T result = slot(first).value;
  for (unsigned lane = first + 1; lane < kWarpSize; ++lane) {
    if ((meeting.arrived >> lane & 1U) != 0) result = combine(slot(first).kind, result, slot(lane).value);
  }
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    if ((meeting.arrived >> lane & 1U) != 0) slot(lane).result = result;
  }
}

template <class T>
T reduce(Reduction kind, unsigned mask, T value, Site site) {
  ReduceSlot<T> slot{kind, value, 0};
  sm().meet(mask, WarpOperation::reduce, &slot, resolve_reduce<T>, site);
  return slot.result;
}

}  // namespace

uint64_t shuffle(Shuffle kind, unsigned mask, uint64_t value, unsigned operand, unsigned width, Site site) {
  if (width == 0 || width > kWarpSize || !std::has_single_bit(width)) {
    sm().abandon(Defect::bad_operand, site, concat("shuffle: expected a width of 1, 2, 4, .. or 32, got ", width));
  }
  ShuffleSlot slot{kind, value, 0, operand, width};
  sm().meet(mask, WarpOperation::shuffle, &slot, resolve_shuffle, site);
  return slot.result;
}

unsigned ballot(unsigned mask, bool predicate, Site site) {
  VoteSlot slot{predicate, 0};
  sm().meet(mask, WarpOperation::ballot, &slot, resolve_ballot, site);
  return slot.result;
}

unsigned reduce_warp(Reduction kind, unsigned mask, unsigned value, Site site) {
  return reduce(kind, mask, value, site);
}
int reduce_warp(Reduction kind, unsigned mask, int value, Site site) { return reduce(kind, mask, value, site); }

bool elect_one(Site site) {
  sm().meet(~0U, WarpOperation::elect, nullptr, nullptr, site);
  return sm().running().lane() == 0;
}

// --- Atomics. One thread runs at a time, so plain operations are atomic.

namespace {

template <class T>
T update(Atomic kind, T* object, T value, Site site) {
  sm().checker.atomic(object, sizeof(T), site);
  const T old = *object;
  switch (kind) {
    case Atomic::add:
      *object = static_cast<T>(static_cast<std::make_unsigned_t<T>>(old) + static_cast<std::make_unsigned_t<T>>(value));
      break;
    case Atomic::minimum:
      *object = std::min(old, value);
      break;
    case Atomic::maximum:
      *object = std::max(old, value);
      break;
    case Atomic::exchange:
      *object = value;
      break;
    case Atomic::bit_and:
      *object = old & value;
      break;
    case Atomic::bit_or:
      *object = old | value;
      break;
    case Atomic::bit_xor:
      *object = old ^ value;
      break;
  }
  return old;
}

template <class T>
T swap_if_equal(T* object, T expected, T value, Site site) {
  sm().checker.atomic(object, sizeof(T), site);
  const T old = *object;
  if (old == expected) *object = value;
  return old;
}

}  // namespace

int atomic(Atomic kind, int* object, int value, Site site) { return update(kind, object, value, site); }
unsigned atomic(Atomic kind, unsigned* object, unsigned value, Site site) { return update(kind, object, value, site); }
unsigned long long atomic(Atomic kind, unsigned long long* object, unsigned long long value, Site site) {
  return update(kind, object, value, site);
}
int compare_and_swap(int* object, int expected, int value, Site site) {
  return swap_if_equal(object, expected, value, site);
}
unsigned compare_and_swap(unsigned* object, unsigned expected, unsigned value, Site site) {
  return swap_if_equal(object, expected, value, site);
}
unsigned long long compare_and_swap(unsigned long long* object, unsigned long long expected, unsigned long long value,
                                    Site site) {
  return swap_if_equal(object, expected, value, site);
}
void device_fence() { sm().checker.fence_device(); }

}  // namespace unet::kernels::emulated
