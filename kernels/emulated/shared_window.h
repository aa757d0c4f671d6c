// The shared memory of a block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace unet::kernels::emulated {

/// A window of addresses with inaccessible pages around it. Offsets in it are the shared addresses that instructions
/// take; no object lies at offset 0. It is larger than the shared memory of any device: what a kernel may touch is
/// known to the checker.
class SharedWindow {
 public:
  static constexpr size_t kBytes = size_t{512} << 10;

  SharedWindow();
  ~SharedWindow();
  SharedWindow(const SharedWindow&) = delete;
  SharedWindow& operator=(const SharedWindow&) = delete;

  /// A new block: dynamic memory of so many bytes, as NaN.
  void begin(size_t dynamic_bytes, unsigned base_shift);
  std::byte* dynamic() const { return base_ + dynamic_offset_; }
  uint32_t dynamic_offset() const { return dynamic_offset_; }
  /// The object of this declaration, as NaN when first asked for; `fresh` says so.
  std::byte* object(const void* declaration, size_t bytes, size_t alignment, bool& fresh);
  /// Dynamic and static bytes of the block.
  size_t used_bytes() const { return used_bytes_; }

  std::byte* base() const { return base_; }
  bool contains(const void* p, size_t bytes = 1) const {
    const auto offset = reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(base_);
    return offset < kBytes && bytes <= kBytes - offset;
  }
  uint32_t offset(const void* p) const { return static_cast<uint32_t>(static_cast<const std::byte*>(p) - base_); }
  /// Whether [offset, offset + bytes) lies in an object or in the dynamic memory of the block.
  bool allocated(uint32_t offset, size_t bytes) const;

 private:
  struct Object {
    const void* declaration;
    uint32_t offset, bytes;
  };
  std::byte* base_ = nullptr;
  std::byte* mapping_ = nullptr;
  uint32_t dynamic_offset_ = 0, dynamic_bytes_ = 0;
  uint32_t end_ = 0;  // first offset behind all objects
  size_t used_bytes_ = 0;
  std::vector<Object> objects_;
};

}  // namespace unet::kernels::emulated
