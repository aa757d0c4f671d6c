// One growing region of memory per device, handed out in blocks: best fit, neighbours merged on release.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>

#include "kernels/context.h"

namespace unet::engine {

/// Allocator behind every tensor and workspace of a CPU device.
///
/// It reserves address space once and commits it from the bottom as needed, so memory in use is bounded by the highest
/// simultaneous demand plus fragmentation, and a training step that repeats the first one's allocations never asks
/// the operating system again (growths() stays). Not thread-safe: a device is used by one thread at a time.
class Arena final : public kernels::Workspace {
 public:
  /// Throws OutOfMemory where no address space is to be had.
  Arena();
  ~Arena() override;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// At least `bytes` bytes aligned to 64; zero bytes give a valid block. Throws OutOfMemory, with the arena unchanged.
  void* allocate(size_t bytes) override;
  void release(void* block) noexcept override;

  /// Demand above `bytes` throws OutOfMemory. Zero: no limit.
  void set_limit(size_t bytes) { limit_ = bytes; }
  /// Makes the k-th allocation from now on fail (1 is the next; 0 turns it off), once or for ever: for tests.
  void fail_at(int64_t k, bool forever = false);
  /// Gives memory above the highest block in use back to the operating system.
  void trim() noexcept;

  size_t bytes_in_use() const { return in_use_; }
  size_t peak_bytes() const { return peak_; }
  void reset_peak() { peak_ = in_use_; }
  /// How often the operating system was asked for memory.
  int64_t growths() const { return growths_; }

 private:
  void insert_free(size_t offset, size_t size);
  void erase_free(size_t offset, size_t size);
  void grow_to(size_t end);

  char* base_ = nullptr;
  size_t reserved_ = 0;   // bytes of address space
  size_t committed_ = 0;  // bytes readable and writable, from base_
  size_t top_ = 0;        // blocks and free ranges lie in [0, top_)
  size_t in_use_ = 0, peak_ = 0, limit_ = 0;
  int64_t growths_ = 0;
  int64_t fail_countdown_ = 0;
  bool fail_forever_ = false;
  std::map<size_t, size_t> used_;                // offset -> size
  std::map<size_t, size_t> free_;                // offset -> size, never adjacent
  std::set<std::pair<size_t, size_t>> by_size_;  // (size, offset) of free_
};

}  // namespace unet::engine
