#include "engine/arena.h"

#include <algorithm>
#include <iterator>

namespace unet::engine {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kReserve = size_t{1} << 42;

size_t aligned(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

Arena::Arena(std::shared_ptr<kernels::TargetState> state)
    : state_(std::move(state)), space_(state_->reserve(kReserve)) {}

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

/// Removes [offset, offset+size) from the free range that contains it.
void Arena::take_free(size_t offset, size_t size) {
  const auto range = std::prev(free_.upper_bound(offset));
  const size_t begin = range->first, end = begin + range->second;
  erase_free(begin, end - begin);
  if (begin < offset) insert_free(begin, offset - begin);
  if (offset + size < end) insert_free(offset + size, end - offset - size);
}

void Arena::grow_to(size_t end) {
  const size_t commit = aligned(end, space_->granularity());
  if (commit <= committed_) return;
  const size_t more = commit - committed_;
  if (commit > space_->size() || !space_->commit(committed_, commit)) {
    const kernels::DeviceInfo device = state_->info();
    throw OutOfMemory(
        concat("arena: ", device.name, " refused ", more, " further bytes with ", in_use_, " in use (",
               device.free_bytes, " free of ", device.total_bytes, "); use a smaller tile or fewer tiles a step"),
        more, 0);
  }
  committed_ = commit;
  ++growths_;
}

/// Enters a block that is neither used nor free into the books.
void* Arena::hand_out(size_t offset, size_t bytes) {
  const size_t size = aligned(std::max<size_t>(bytes, 1), kAlignment);
  used_.emplace(offset, size);
  if (watched_) {
    size_t& longest = (*watched_)[offset];
    longest = std::max(longest, size);
  }
  in_use_ += size;
  peak_ = std::max(peak_, in_use_);
  char* block = space_->base() + offset;
  space_->on_allocate(block, bytes);
  return block;
}

void* Arena::allocate(size_t bytes) {
  if (fail_countdown_ > 0 && --fail_countdown_ == 0) {
    if (fail_forever_) fail_countdown_ = 1;
    throw OutOfMemory("arena: allocation refused by fault injection", bytes, limit_);
  }
  if (bytes > space_->size()) {
    throw OutOfMemory(concat("arena: ", bytes, " bytes requested, ", space_->size(), " addressable"), bytes,
                      space_->size());
  }
  const size_t size = aligned(std::max<size_t>(bytes, 1), kAlignment);
  if (limit_ != 0 && in_use_ + size > limit_) {
    throw OutOfMemory(concat("arena: ", bytes, " bytes requested with ", in_use_, " in use would pass the limit of ",
                             limit_, " bytes; use a smaller tile or raise the limit"),
                      bytes, limit_);
  }

  if (const auto fit = by_size_.lower_bound({size, 0}); fit != by_size_.end()) {
    const size_t offset = fit->second;
    take_free(offset, size);
    return hand_out(offset, bytes);
  }
  // A free range at the top is extended rather than left behind.
  const auto last = free_.empty() ? free_.end() : std::prev(free_.end());
  const bool extend = last != free_.end() && last->first + last->second == top_;
  const size_t offset = extend ? last->first : top_;
  grow_to(offset + size);
  if (extend) erase_free(last->first, last->second);
  top_ = offset + size;
  return hand_out(offset, bytes);
}

void Arena::release(void* block) noexcept {
  if (block == nullptr) return;
  const auto found = used_.find(static_cast<size_t>(static_cast<char*>(block) - space_->base()));
  size_t offset = found->first, size = found->second;
  space_->on_release(block, size);
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
  const size_t keep = aligned(top_, space_->granularity());
  if (keep < committed_) {
    space_->decommit(keep, committed_);
    committed_ = keep;
  }
}

std::vector<void*> Arena::hold_watched() {
  const std::map<size_t, size_t> watched = std::move(*watched_);
  watched_.reset();
  std::vector<std::pair<size_t, size_t>> held;  // (begin, end), disjoint and ascending
  for (const auto& [offset, size] : watched) {
    for (const auto& [free_offset, free_size] : free_) {
      const size_t begin = std::max(offset, free_offset), end = std::min(offset + size, free_offset + free_size);
      if (begin >= end) continue;
      if (!held.empty() && begin <= held.back().second) {
        held.back().second = std::max(held.back().second, end);
      } else {
        held.emplace_back(begin, end);
      }
    }
  }
  std::vector<void*> blocks;
  for (const auto& [begin, end] : held) {
    take_free(begin, end - begin);
    blocks.push_back(hand_out(begin, end - begin));
  }
  return blocks;
}

}  // namespace unet::engine
