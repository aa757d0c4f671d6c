#include "kernels/emulated/async_copy.h"

#include <cstring>

#include "kernels/emulated/models.h"
#include "kernels/emulated/scheduler.h"

namespace unet::kernels::emulated {

void AsyncCopies::perform(Copy& copy) {
  if (copy.done) return;
  copy.done = true;
  std::memcpy(copy.to, copy.from, static_cast<size_t>(copy.valid));
  std::memset(static_cast<std::byte*>(copy.to) + copy.valid, 0, static_cast<size_t>(copy.size - copy.valid));
}

void AsyncCopies::start(Multiprocessor& sm, void* to, const void* from, int size, int valid, Site site) {
  const auto bytes = static_cast<size_t>(size);
  if (!sm.shared.contains(to, bytes) || !sm.shared.allocated(sm.shared.offset(to), bytes)) {
    sm.abandon(Defect::out_of_bounds_shared, site, "cp.async: the destination is not shared memory of the block");
  }
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % bytes != 0) {
    sm.report(Defect::misaligned, site, concat("cp.async: both addresses must be aligned to ", size, " bytes"));
  }
  if (valid < 0 || valid > size) {
    sm.abandon(Defect::bad_operand, site, concat("cp.async: expected a source of 0 to ", size, " bytes, got ", valid));
  }
  if (valid > 0) sm.checker.read(from, static_cast<size_t>(valid), site);
  sm.checker.begin_copy(to, bytes, site);
  copies_.push_back({to, from, size, valid, groups_, false, site});
  if (sm.completes_now()) perform(copies_.back());
}

void AsyncCopies::wait(Multiprocessor& sm, int pending) {
  size_t finished = 0;
  for (; finished < copies_.size() && copies_[finished].group < groups_ - pending; ++finished) {
    perform(copies_[finished]);
    sm.checker.end_copy(copies_[finished].to, static_cast<size_t>(copies_[finished].size));
  }
  copies_.erase(copies_.begin(), copies_.begin() + static_cast<std::ptrdiff_t>(finished));
}

void cp_async(void* to, const void* from, int size, int valid, Site site) {
  sm().running().copies.start(sm(), to, from, size, valid, site);
}
void cp_async_commit() { sm().running().copies.commit(); }
void cp_async_wait(int pending) { sm().running().copies.wait(sm(), pending); }

}  // namespace unet::kernels::emulated
