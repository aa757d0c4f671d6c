// One growing region of memory per device, handed out in blocks: best fit, neighbours merged on release.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "kernels/context.h"

namespace unet::engine {

/// Allocator behind every tensor and workspace of a device.
///
/// It reserves address space once and commits it from the bottom as needed, so memory in use is bounded by the highest
/// simultaneous demand plus fragmentation, and a training step that repeats the first one's allocations never asks
/// the system again (growths() stays). A block that is released may be handed out again at once: a device works in the
/// order it was told. Not thread-safe: a device is used by one thread at a time.
class Arena final : public kernels::Workspace {
 public:
  /// In the memory of this target. Throws OutOfMemory where no address space is to be had.
  explicit Arena(std::shared_ptr<kernels::TargetState> state);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// At least `bytes` bytes aligned to 64; zero bytes give a valid block. Throws OutOfMemory, with the arena unchanged.
  void* allocate(size_t bytes) override;
  void release(void* block) noexcept override;

  /// Demand above `bytes` throws OutOfMemory. Zero: no limit.
  void set_limit(size_t bytes) { limit_ = bytes; }
  /// Makes the k-th allocation from now on fail (1 is the next; 0 turns it off), once or for ever: for tests.
  void fail_at(int64_t k, bool forever = false);
  /// Gives memory above the highest block in use back to the system.
  void trim() noexcept;

  /// Notes from now on what is handed out.
  void watch() { watched_.emplace(); }
  /// Ends watch(). Returns blocks that cover what is free now of all that was handed out in between: as long as they
  /// are not released, nobody else gets this memory, so recorded work can run in it again.
  std::vector<void*> hold_watched();

  size_t bytes_in_use() const { return in_use_; }
  size_t peak_bytes() const { return peak_; }
  void reset_peak() { peak_ = in_use_; }
  /// Bytes that can be handed out without asking the system, in one block or in several.
  size_t bytes_at_hand() const { return committed_ - in_use_; }
  /// How often the system was asked for memory.
  int64_t growths() const { return growths_; }

 private:
  void insert_free(size_t offset, size_t size);
  void erase_free(size_t offset, size_t size);
  void take_free(size_t offset, size_t size);
  void grow_to(size_t end);
  void* hand_out(size_t offset, size_t bytes);

  std::shared_ptr<kernels::TargetState> state_;  // before the space, which it outlives
  std::unique_ptr<kernels::AddressSpace> space_;
  size_t committed_ = 0;  // bytes backed by memory, from the space's base
  size_t top_ = 0;        // blocks and free ranges lie in [0, top_)
  size_t in_use_ = 0, peak_ = 0, limit_ = 0;
  int64_t growths_ = 0;
  int64_t fail_countdown_ = 0;
  bool fail_forever_ = false;
  std::map<size_t, size_t> used_;                    // offset -> size
  std::map<size_t, size_t> free_;                    // offset -> size, never adjacent
  std::set<std::pair<size_t, size_t>> by_size_;      // (size, offset) of free_
  std::optional<std::map<size_t, size_t>> watched_;  // offset -> size, of what was handed out since watch()
};

}  // namespace unet::engine
