#include "kernels/emulated/shadow.h"

#include <sys/mman.h>

#include "kernels/error.h"

namespace unet::kernels::emulated {
namespace {

constexpr size_t record_bytes(size_t bytes) { return bytes / 2 * sizeof(Record); }

/// Pages take memory when they are first written.
void* map_pages(void* old, size_t old_bytes, size_t bytes) {
  if (old != nullptr) return mremap(old, old_bytes, bytes, MREMAP_MAYMOVE);
  return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

}  // namespace

void Shadow::grow(size_t to_bytes) {
  for (Record** records : {&writes, &reads, &reads_too}) {
    void* const memory = map_pages(*records, record_bytes(bytes), record_bytes(to_bytes));
    if (memory == MAP_FAILED) {
      throw OutOfMemory(concat("emulated: no address space to check ", to_bytes, " bytes of memory"), to_bytes, 0);
    }
    *records = static_cast<Record*>(memory);
  }
  bytes = to_bytes;
}

void Shadow::unmap() noexcept {
  for (Record* records : {writes, reads, reads_too}) {
    if (records != nullptr) munmap(records, record_bytes(bytes));
  }
}

void Shadow::forget() noexcept {
  for (Record* records : {writes, reads, reads_too}) madvise(records, record_bytes(bytes), MADV_DONTNEED);
}

}  // namespace unet::kernels::emulated
