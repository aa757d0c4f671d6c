#include "kernels/emulated/shadow.h"

#include <sys/mman.h>

#include "kernels/error.h"

namespace unet::kernels::emulated {
namespace {

Record* map_records(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<Record*>(memory);
}

}  // namespace

void Shadow::map(const void* begin, size_t size) {
  base = static_cast<const std::byte*>(begin);
  bytes = size;
  for (Record** records : {&writes, &reads, &reads_too}) {
    *records = map_records(record_bytes());
    if (*records == nullptr) {
      unmap();
      throw OutOfMemory(concat("emulated: no address space to check ", size, " bytes of memory; reserve less"),
                        record_bytes(), 0);
    }
  }
}

void Shadow::unmap() noexcept {
  for (Record** records : {&writes, &reads, &reads_too}) {
    if (*records != nullptr) munmap(*records, record_bytes());
    *records = nullptr;
  }
}

void Shadow::forget() noexcept {
  for (Record* records : {writes, reads, reads_too}) madvise(records, record_bytes(), MADV_DONTNEED);
}

}  // namespace unet::kernels::emulated
