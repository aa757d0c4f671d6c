#include "engine/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

namespace unet::engine {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kCommitStep = size_t{2} << 20;  // one huge page
constexpr size_t kReserve = size_t{1} << 42;

size_t aligned(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

Arena::Arena() {
  // Address space is not memory, but a process may be limited in it (ulimit -v): take what can be had.
  for (reserved_ = kReserve; reserved_ >= kCommitStep; reserved_ /= 2) {
    void* p = mmap(nullptr, reserved_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p != MAP_FAILED) {
      base_ = static_cast<char*>(p);
      return;
    }
  }
  throw OutOfMemory("arena: no address space could be reserved; raise the limit (ulimit -v)", kCommitStep, 0);
}

Arena::~Arena() { munmap(base_, reserved_); }

void Arena::insert_free(size_t offset, size_t size) {
  free_.emplace(offset, size);
  by_size_.emplace(size, offset);
}

void Arena::erase_free(size_t offset, size_t size) {
  free_.erase(offset);
  by_size_.erase({size, offset});
}

void Arena::fail_at(int64_t k, bool forever) {
  fail_countdown_ = k;
  fail_forever_ = forever;
}

void Arena::grow_to(size_t end) {
  const size_t commit = aligned(end, kCommitStep);
  if (commit <= committed_) return;
  const size_t more = commit - committed_;
  if (commit > reserved_ || mprotect(base_ + committed_, more, PROT_READ | PROT_WRITE) != 0) {
    throw OutOfMemory(concat("arena: the system refused ", more, " further bytes with ", in_use_, " in use"), more, 0);
  }
  madvise(base_ + committed_, more, MADV_HUGEPAGE);  // advice only: ignored where not supported
  committed_ = commit;
  ++growths_;
}

void* Arena::allocate(size_t bytes) {
  if (fail_countdown_ > 0 && --fail_countdown_ == 0) {
    if (fail_forever_) fail_countdown_ = 1;
    throw OutOfMemory("arena: allocation refused by fault injection", bytes, limit_);
  }
  if (bytes > reserved_) {
    throw OutOfMemory(concat("arena: ", bytes, " bytes requested, ", reserved_, " addressable"), bytes, reserved_);
  }
  const size_t size = aligned(std::max<size_t>(bytes, 1), kAlignment);
  if (limit_ != 0 && in_use_ + size > limit_) {
    throw OutOfMemory(concat("arena: ", bytes, " bytes requested with ", in_use_, " in use would pass the limit of ",
                             limit_, " bytes; use a smaller tile or raise the limit"),
                      bytes, limit_);
  }

  size_t offset = 0;
  if (const auto fit = by_size_.lower_bound({size, 0}); fit != by_size_.end()) {
    const size_t free_size = fit->first;
    offset = fit->second;
    used_.emplace(offset, size);
    erase_free(offset, free_size);
    if (free_size > size) insert_free(offset + size, free_size - size);
  } else {
    // A free range at the top is extended rather than left behind.
    const auto last = free_.empty() ? free_.end() : std::prev(free_.end());
    const bool extend = last != free_.end() && last->first + last->second == top_;
    offset = extend ? last->first : top_;
    grow_to(offset + size);
    used_.emplace(offset, size);
    if (extend) erase_free(last->first, last->second);
    top_ = offset + size;
  }
  in_use_ += size;
  peak_ = std::max(peak_, in_use_);
  return base_ + offset;
}

void Arena::release(void* block) noexcept {
  if (block == nullptr) return;
  const auto found = used_.find(static_cast<size_t>(static_cast<char*>(block) - base_));
  size_t offset = found->first, size = found->second;
  used_.erase(found);
  in_use_ -= size;
  const auto next = free_.lower_bound(offset);
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      erase_free(before->first, before->second);
    }
  }
  if (const auto after = free_.find(offset + size); after != free_.end()) {
    size += after->second;
    erase_free(after->first, after->second);
  }
  insert_free(offset, size);
}

void Arena::trim() noexcept {
  if (!free_.empty()) {
    const auto last = std::prev(free_.end());
    const size_t offset = last->first, size = last->second;
    if (offset + size == top_) {
      erase_free(offset, size);
      top_ = offset;
    }
  }
  const size_t keep = aligned(top_, kCommitStep);
  if (keep < committed_ && mmap(base_ + keep, committed_ - keep, PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED) {
    committed_ = keep;
  }
}

}  // namespace unet::engine
