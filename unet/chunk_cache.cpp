#include "unet/chunk_cache.h"

namespace unet {

std::span<const std::byte> ChunkCache::get(const ChunkIndex& index) {
  if (const auto found = find_.find(index); found != find_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return entries_.front().bytes;
  }
  const int64_t bytes = source_.pages()[static_cast<size_t>(index.page)].chunk_bytes();
  while (!entries_.empty() && used_bytes_ + bytes > capacity_bytes_) {
    used_bytes_ -= static_cast<int64_t>(entries_.back().bytes.size());
    find_.erase(entries_.back().index);
    entries_.pop_back();
  }
  Entry entry{index, std::vector<std::byte>(static_cast<size_t>(bytes))};
  source_.decode(index, entry.bytes);
  entries_.push_front(std::move(entry));
  find_[index] = entries_.begin();
  used_bytes_ += bytes;
  return entries_.front().bytes;
}

}  // namespace unet
