// The checker's answer to an access of the compiler's, in line for the ordinary case: memory that was written before
// the last barrier of all threads, or before the launch, and that nobody else has touched since.
#pragma once

#include "kernels/emulated/checker.h"

extern "C" const char __executable_start;

namespace unet::kernels::emulated {

/// The checker of the kernel that this operating-system thread executes; null outside kernels.
extern constinit thread_local Checker* t_running_checker __attribute__((tls_model("initial-exec")));

inline Checker* Checker::running() { return t_running_checker; }

/// Code addresses count from the start of the program; those that do not fit are unknown places.
inline uint32_t Checker::place_of_code(const void* code) {
  const auto offset = static_cast<size_t>(static_cast<const char*>(code) - &__executable_start);
  return offset < kFirstSite ? static_cast<uint32_t>(offset) : 0;
}

/// The ordinary case of an access by the running thread, `self`. False, with nothing done, where it needs a closer
/// look.
template <bool kWrite, size_t kBytes>
__attribute__((always_inline)) inline bool Checker::touch(const std::byte* p, Record self) {
  const Shadow* shadow = nullptr;
  Record since = 0, until = 0;  // what was written in this time is readable, or may be overwritten
  if (static_cast<size_t>(p - object_) < object_bytes_) {
    if (static_cast<size_t>(object_ + object_bytes_ - p) < kBytes) return false;
    shadow = &shared_;
    since = kWrite ? 0 : block_first_;
    until = floor_;
  } else if (region_ != nullptr && region_->contains(p)) {
    shadow = region_;
    since = kWrite ? kUndefined : at_clock(kHostClock);
    until = launch_first_;
  }
  if (shadow == nullptr || reinterpret_cast<uintptr_t>(p) % kBytes != 0) return false;
  constexpr size_t kCells = kBytes / 2;
  const size_t cell = shadow->cell_of(p);
  Record* const writes = shadow->writes + cell;
  Record* const reads = shadow->reads + cell;
  Record* const reads_too = shadow->reads_too + cell;
  const auto is_own = [&](Record before) { return (before ^ self_) >> kActorShift == 0; };
  bool is_fine = true;
  for (size_t i = 0; i < kCells; ++i) {
    is_fine &= writes[i] - since < until - since || is_own(writes[i]);
    if (kWrite) is_fine &= (reads[i] < until || is_own(reads[i])) && reads_too[i] < until;
  }
  if (!is_fine) return false;
  for (size_t i = 0; i < kCells; ++i) {
    if (kWrite) {
      writes[i] = self;
    } else {
      if (reads[i] >= until && !is_own(reads[i])) reads_too[i] = reads[i];
      reads[i] = self;
    }
  }
  return true;
}

template <bool kWrite, size_t kBytes>
inline void Checker::access(const void* p, const void* code) {
  const auto* const begin = static_cast<const std::byte*>(p);
  if (static_cast<size_t>(begin - stack_low_) < unwatched_stack_bytes_) return;
  const Record self = self_ | place_of_code(code);
  if constexpr (kBytes >= 2) {
    if (touch<kWrite, kBytes>(begin, self)) return;
  }
  check(p, kBytes, {.self = self, .is_write = kWrite, .is_compiled = true, .verb = kWrite ? "writes" : "reads"});
}

}  // namespace unet::kernels::emulated
