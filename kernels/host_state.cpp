#include "kernels/host_state.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <new>

#include "kernels/error.h"

namespace unet::kernels {
namespace {

constexpr size_t kGranularity = size_t{2} << 20;  // one huge page

class HostAddressSpace final : public AddressSpace {
 public:
  // Address space is not memory, but a process may be limited in it (ulimit -v): take what can be had.
  explicit HostAddressSpace(size_t bytes) {
    for (size_ = bytes; size_ >= kGranularity; size_ /= 2) {
      void* p = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (p != MAP_FAILED) {
        base_ = static_cast<char*>(p);
        return;
      }
    }
    throw OutOfMemory("memory: no address space could be reserved; raise the limit (ulimit -v)", kGranularity, 0);
  }
  ~HostAddressSpace() override { munmap(base_, size_); }
  HostAddressSpace(const HostAddressSpace&) = delete;
  HostAddressSpace& operator=(const HostAddressSpace&) = delete;

  char* base() const override { return base_; }
  size_t size() const override { return size_; }
  size_t granularity() const override { return kGranularity; }

  bool commit(size_t from, size_t to) noexcept override {
    if (to > size_ || mprotect(base_ + from, to - from, PROT_READ | PROT_WRITE) != 0) return false;
    madvise(base_ + from, to - from, MADV_HUGEPAGE);  // advice only: ignored where not supported
    return true;
  }
  void decommit(size_t from, size_t to) noexcept override {
    madvise(base_ + from, to - from, MADV_DONTNEED);
    mprotect(base_ + from, to - from, PROT_NONE);
  }

 private:
  char* base_ = nullptr;
  size_t size_ = 0;
};

}  // namespace

std::unique_ptr<AddressSpace> HostState::reserve(size_t bytes) { return std::make_unique<HostAddressSpace>(bytes); }

DeviceInfo HostState::info() const {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  DeviceInfo info;
  info.name = "CPU";
  info.free_bytes = static_cast<size_t>(sysconf(_SC_AVPHYS_PAGES)) * page;
  info.total_bytes = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * page;
  return info;
}

void HostState::upload(void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); }
void HostState::download(void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); }

std::shared_ptr<void> HostState::allocate_staging(size_t bytes) {
  constexpr std::align_val_t alignment{64};
  void* block = ::operator new(bytes, alignment, std::nothrow);
  if (block == nullptr) throw OutOfMemory(concat("memory: ", bytes, " bytes of host memory refused"), bytes, 0);
  return {block, [](void* p) { ::operator delete (p, std::align_val_t{64}); }};
}

}  // namespace unet::kernels
