#include "kernels/emulated/checker_access.h"

#include <algorithm>
#include <utility>

extern "C" const char _end;

namespace unet::kernels::emulated {
namespace {

uintptr_t address_of(const void* p) { return reinterpret_cast<uintptr_t>(p); }

/// Functions of the standard library that kernels' launchers and the emulator both use may be linked in their
/// instrumented copy: what the checker itself does is no access of a kernel.
class Unobserved {
 public:
  Unobserved() = default;
  ~Unobserved() { t_running_checker = checker_; }
  Unobserved(const Unobserved&) = delete;
  Unobserved& operator=(const Unobserved&) = delete;

 private:
  Checker* checker_ = std::exchange(t_running_checker, nullptr);
};

}  // namespace

void Checker::read(const void* from, size_t bytes, Site site) {
  const Record self = self_ | place_of_site(site);
  if (bytes == 16 && touch<false, 16>(static_cast<const std::byte*>(from), self)) return;
  check(from, bytes, {.self = self, .verb = "reads"});
}

void Checker::write(const void* to, size_t bytes, Site site) {
  check(to, bytes, {.self = self_ | place_of_site(site), .is_write = true, .verb = "writes"});
}

void Checker::access_unaligned(const void* p, size_t bytes, bool is_write, const void* code) {
  check(p, bytes, {.self = self_ | place_of_code(code), .is_write = is_write, .verb = is_write ? "writes" : "reads"});
}

void Checker::check(const void* p, size_t bytes, const Access& access) {
  const Unobserved unobserved;
  const auto* const begin = static_cast<const std::byte*>(p);
  if (access.is_compiled && address_of(p) % bytes != 0) {
    report_access(Defect::misaligned, access,
                  [&] { return concat(bytes, " bytes at an address that is no multiple of it"); });
    if (give_up_) give_up_();
    return;
  }
  if (shared_.contains(begin)) return check_shared(begin, bytes, access);
  if (Region* const region = region_of(begin)) return check_global(*region, begin, bytes, access);
  check_private(begin, bytes, access);
}

/// The shared object that holds all of the range; remembered for the next time.
bool Checker::is_in_shared(const std::byte* p, size_t bytes) {
  for (const auto& object : objects_) {
    if (p >= object.data() && p + bytes <= object.data() + object.size()) {
      object_ = object.data();
      object_bytes_ = object.size();
      return true;
    }
  }
  return false;
}

Checker::Region* Checker::region_of(const void* p) {
  if (region_ != nullptr && region_->contains(p)) return region_;
  for (const auto& region : regions_) {
    if (address_of(p) - address_of(region->base) < region->reserved_bytes) return region_ = region.get();
  }
  return nullptr;
}

void Checker::check_shared(const std::byte* p, size_t bytes, const Access& access) {
  if (!is_in_shared(p, bytes)) {
    report_access(Defect::out_of_bounds_shared, access,
                  [&] { return concat(bytes, " bytes at ", describe_address(p)); });
    if (access.is_write && give_up_) give_up_();  // what is overwritten may be the emulator's next barrier
    return;
  }
  check_cells(Space::shared, shared_, p, bytes, access);
}

void Checker::check_global(Region& region, const std::byte* p, size_t bytes, const Access& access) {
  // An allocation of an odd number of bytes ends within a cell.
  const auto after = allocations_.upper_bound(p);
  const bool is_inside =
      after != allocations_.begin() && std::prev(after)->first + std::prev(after)->second >= p + bytes;
  if (!is_inside) {
    const bool is_freed = region.contains(p) && region.writes[region.cell_of(p)] == kFreed;
    report_access(is_freed ? Defect::freed_memory : Defect::out_of_bounds_global, access,
                  [&] { return concat(bytes, " bytes at ", describe_address(p)); });
    if (give_up_) give_up_();
    return;
  }
  check_cells(Space::global, region, p, bytes, access);
}

/// What is neither shared nor device memory: the thread's own stack, the kernel's parameters, constants.
void Checker::check_private(const std::byte* p, size_t bytes, const Access& access) {
  if (p >= stack_low_ && p + bytes <= stack_high_) {
    if (!thread_->accumulators.empty()) check_accumulators(p, bytes, access);
    return;
  }
  const bool is_parameter = p >= parameters_.data() && p + bytes <= parameters_.data() + parameters_.size();
  const bool is_constant =
      address_of(p) - address_of(&__executable_start) < address_of(&_end) - address_of(&__executable_start);
  if (!access.is_write && (is_parameter || is_constant)) return;
  if (!is_of_kernel(place_of(access.self))) return;
  report_access(Defect::host_memory, access, [&] {
    return concat(bytes, " bytes at ", static_cast<const void*>(p), ", neither device memory nor the thread's own");
  });
  if (give_up_) give_up_();
}

void Checker::check_accumulators(const std::byte* p, size_t bytes, const Access& access) {
  for (const Accumulator& registers : thread_->accumulators) {
    if (p + bytes <= registers.data || p >= registers.data + registers.bytes) continue;
    thread_->is_wgmma_fenced = false;
    if (registers.unfinished > 0) {
      report_access(Defect::accumulator_in_use, access, [] { return "accumulators of a wgmma not waited for"; });
    }
  }
}

void Checker::check_cells(Space space, Shadow& shadow, const std::byte* p, size_t bytes, const Access& access) {
  const size_t first = shadow.cell_of(p), end = shadow.cell_of(p + bytes + 1);
  // Neighbours were mostly touched together: a cell with the same history as the one before is as fine.
  Record write = 0, read = 0, read_too = 0, self = 0;
  bool is_known = false, is_wrong = false;
  for (size_t cell = first; cell < end; ++cell) {
    const std::byte* const at = shadow.base + 2 * cell;
    Record touched = access.self;
    if (at < p) touched &= ~(kBothBytes & kBothBytes >> 1);              // not the cell's first byte
    if (at + 2 > p + bytes) touched &= ~(kBothBytes & kBothBytes << 1);  // not its second
    const bool is_same = is_known && touched == self && shadow.writes[cell] == write &&
                         (!access.is_write || (shadow.reads[cell] == read && shadow.reads_too[cell] == read_too));
    if (!is_same && !is_wrong) {
      write = shadow.writes[cell];
      read = shadow.reads[cell];
      read_too = shadow.reads_too[cell];
      self = touched;
      is_known = true;
      is_wrong = !check_cell(space, shadow, cell, self, access);  // the next cells would only repeat it
    }
    if (access.is_write) {
      shadow.writes[cell] = touched;
    } else {
      record_read(space, shadow, cell, touched);
    }
  }
}

/// Reports what is wrong with the access; false then.
bool Checker::check_cell(Space space, Shadow& shadow, size_t cell, Record self, const Access& access) {
  const Record write = shadow.writes[cell];
  const std::byte* const at = shadow.base + 2 * cell;
  const auto conflicts = [&](Record before) {
    return touch_same_byte(before, self) && !(is_atomic(before) && access.is_atomic) && !is_ordered(space, before);
  };
  if ((!access.is_write || access.is_atomic) && !has_value(space, write)) {
    report_access(space == Space::shared ? Defect::uninitialised_shared : Defect::uninitialised_global, access,
                  [&] { return concat(describe_address(at), ", which was never written"); });
    return false;
  }
  bool is_fine = true;
  if (conflicts(write)) {
    report_conflict(space, write, true, access, at);
    is_fine = false;
  } else if (is_by_agent(self) && space == Space::shared && !is_proxy_fenced(write)) {
    report_access(Defect::missing_proxy_fence, access, [&] {
      return concat(describe_address(at), " by the async proxy, which ", describe_actor(write), " wrote at ",
                    describe_place(place_of(write)), " without fence.proxy.async in between");
    });
    is_fine = false;
  }
  if (access.is_write) {
    for (Record* const before : {&shadow.reads[cell], &shadow.reads_too[cell]}) {
      if (!is_fine || !conflicts(*before)) continue;
      report_conflict(space, *before, false, access, at);
      is_fine = false;
    }
  }
  return is_fine;
}

/// Of two readers in no order, both are kept; a third displaces the older one.
void Checker::record_read(Space space, Shadow& shadow, size_t cell, Record self) {
  Record& read = shadow.reads[cell];
  const bool is_same_agent = is_by_agent(self) && actor_of(read) == actor_of(self);
  if (!is_same_agent && !is_ordered(space, read)) shadow.reads_too[cell] = read;
  read = self;
}

bool Checker::has_value(Space space, Record write) const {
  if (space == Space::global) return write > at_clock(kHostClock);
  if (is_pending(write)) return true;
  return is_by_agent(write) ? clock_of(write) >= agent_block_first_ : write >= block_first_;
}

/// Whether what `before` tells of happened before what the running thread does now.
bool Checker::is_ordered(Space space, Record before) const {
  const uint32_t clock = clock_of(before), actor = actor_of(before);
  if (is_pending(before)) return false;
  const uint32_t* const known = known_.data() + size_t{thread_index_} * kClockEntries;
  if (is_by_agent(before)) {
    if (clock >= agent_block_first_) return known[actor - kThreads] >= clock;
    return clock < agent_launch_first_ || space == Space::shared;
  }
  if (before < launch_first_) return true;
  if (before >= block_first_) return before < floor_ || actor == thread_index_ || known[kAgents + actor] >= clock;
  if (space == Space::shared) return true;
  const auto after = std::upper_bound(blocks_.begin(), blocks_.end(), clock,
                                      [](uint32_t value, const auto& block) { return value < block.first; });
  const auto seen = acquired_.find(std::prev(after)->first);
  return seen != acquired_.end() && seen->second->covers(actor, clock);
}

/// Whether a proxy fence lies between a write and the running thread: the writer's, or one that knew the write.
bool Checker::is_proxy_fenced(Record write) const {
  if (is_by_agent(write) || is_pending(write) || write < block_first_) return true;
  const uint32_t clock = clock_of(write), actor = actor_of(write);
  if (threads_[actor].proxy_fence >= clock) return true;
  const Knowledge& fence = thread_->at_proxy_fence;
  return fence.block_first == clock_of(block_first_) && fence.covers(actor, clock);
}

}  // namespace unet::kernels::emulated
