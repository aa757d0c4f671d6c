// The most recently used decoded chunks of an image file.
#pragma once

#include <list>
#include <map>

#include "unet/image_source.h"

namespace unet {

/// Least recently used chunks go first; at least one chunk is kept, whatever its size.
class ChunkCache {
 public:
  ChunkCache(ImageSource& source, int64_t capacity_bytes) : source_(source), capacity_bytes_(capacity_bytes) {}

  /// The chunk's bytes, decoded now or before. Valid until the next call.
  std::span<const std::byte> get(const ChunkIndex& index);

 private:
  struct Entry {
    ChunkIndex index;
    std::vector<std::byte> bytes;
  };

  ImageSource& source_;
  int64_t capacity_bytes_, used_bytes_ = 0;
  std::list<Entry> entries_;  // most recent first
  std::map<ChunkIndex, std::list<Entry>::iterator> find_;
};

}  // namespace unet
