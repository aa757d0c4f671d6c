// The checker's books of device memory: what is allocated, and the records of it.
#include <algorithm>
#include <bit>

#include "kernels/emulated/checker_access.h"

namespace unet::kernels::emulated {

void Checker::add_region(const void* base, size_t bytes) {
  regions_.push_back(std::make_unique<Region>());
  regions_.back()->base = static_cast<const std::byte*>(base);
  regions_.back()->reserved_bytes = bytes;
}

void Checker::remove_region(const void* base) {
  const auto is_it = [&](const auto& region) { return region->base == base; };
  const auto region = std::find_if(regions_.begin(), regions_.end(), is_it);
  if (region == regions_.end()) return;
  if (region_ == region->get()) region_ = nullptr;
  const std::byte* const begin = (*region)->base;
  allocations_.erase(allocations_.lower_bound(begin), allocations_.lower_bound(begin + (*region)->reserved_bytes));
  (*region)->unmap();
  regions_.erase(region);
}

template <class Change>
void Checker::for_cells_of(const void* block, size_t bytes, Change change) {
  Region* const region = region_of(block);
  if (region == nullptr || bytes == 0) return;
  const auto* const begin = static_cast<const std::byte*>(block);
  const size_t end = region->cell_of(begin + bytes + 1);
  // Never beyond the region: what follows it may be another one.
  if (2 * end > region->bytes) {
    region->grow(std::min(region->reserved_bytes, std::max(2 * region->bytes, std::bit_ceil(2 * end))));
  }
  for (size_t cell = region->cell_of(begin); cell < end; ++cell) change(region->writes[cell]);
}

void Checker::allocate(const void* block, size_t bytes) {
  allocations_[static_cast<const std::byte*>(block)] = bytes;
  for_cells_of(block, bytes, [](Record& write) { write = kUndefined; });
}

void Checker::release(const void* block, size_t bytes) {
  allocations_.erase(static_cast<const std::byte*>(block));
  for_cells_of(block, bytes, [](Record& write) { write = kFreed; });
}

void Checker::write_from_host(const void* to, size_t bytes) {
  for_cells_of(to, bytes, [](Record& write) {
    if (write >= kUndefined) write = record_of(kHostClock, 0);
  });
}

/// Makes everything so far older than everything to come: clocks are about to run out.
void Checker::forget_history() {
  shared_.forget();
  for (const auto& [block, bytes] : allocations_) {
    for_cells_of(block, bytes, [](Record& write) {
      if (write > kUndefined) write = record_of(kHostClock, 0);
    });
    const Region& region = *region_of(block);
    const size_t first = region.cell_of(block), count = region.cell_of(block + bytes + 1) - first;
    std::fill_n(region.reads + first, count, Record{0});
    std::fill_n(region.reads_too + first, count, Record{0});
  }
  std::fill(known_.begin(), known_.end(), 0);
  blocks_.clear();
  last_clock_ = kFirstClock;
  last_agent_clock_ = kAgentClock;
}

}  // namespace unet::kernels::emulated
