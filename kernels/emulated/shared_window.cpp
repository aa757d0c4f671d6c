#include "kernels/emulated/shared_window.h"

#include <sys/mman.h>

#include <cstring>

#include "kernels/error.h"

namespace unet::kernels::emulated {
namespace {

constexpr uint32_t kFirst = 1024;  // offset of dynamic memory without a shift: shared memory's widest alignment
constexpr uint32_t kGap = 64;      // unused bytes between objects
constexpr int kNan = 0xff;         // as every byte of a float, a bf16 or an integer index: nothing of use

}  // namespace

// The base is aligned to its size, so that an address and its offset have the same alignment.
SharedWindow::SharedWindow() {
  void* p = mmap(nullptr, 3 * kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw OutOfMemory("emulated: no memory for shared memory", 3 * kBytes, 0);
  mapping_ = static_cast<std::byte*>(p);
  base_ = mapping_ + (2 * kBytes - reinterpret_cast<uintptr_t>(p) % kBytes) -
          (reinterpret_cast<uintptr_t>(p) % kBytes == 0 ? kBytes : 0);
  mprotect(base_, kBytes, PROT_READ | PROT_WRITE);
}

SharedWindow::~SharedWindow() { munmap(mapping_, 3 * kBytes); }

void SharedWindow::begin(size_t dynamic_bytes, unsigned base_shift) {
  objects_.clear();
  dynamic_offset_ = kFirst + base_shift;
  dynamic_bytes_ = static_cast<uint32_t>(dynamic_bytes);
  used_bytes_ = dynamic_bytes;
  end_ = dynamic_offset_ + dynamic_bytes_;
  std::memset(base_ + dynamic_offset_, kNan, dynamic_bytes);
}

std::byte* SharedWindow::object(const void* declaration, size_t bytes, size_t alignment, bool& fresh) {
  fresh = false;
  for (const Object& o : objects_) {
    if (o.declaration == declaration) return base_ + o.offset;
  }
  fresh = true;
  const auto align = static_cast<uint32_t>(alignment);
  const uint32_t offset = (end_ + kGap + align - 1) / align * align;
  used_bytes_ += bytes;
  if (offset + bytes > kBytes) return nullptr;
  end_ = offset + static_cast<uint32_t>(bytes);
  objects_.push_back({declaration, offset, static_cast<uint32_t>(bytes)});
  std::memset(base_ + offset, kNan, bytes);
  return base_ + offset;
}

bool SharedWindow::allocated(uint32_t offset, size_t bytes) const {
  const auto inside = [&](uint32_t begin, uint32_t size) { return offset >= begin && offset + bytes <= begin + size; };
  if (inside(dynamic_offset_, dynamic_bytes_)) return true;
  for (const Object& o : objects_) {
    if (inside(o.offset, o.bytes)) return true;
  }
  return false;
}

}  // namespace unet::kernels::emulated
