// Filters in the order in which a kernel reads them, in scratch memory or kept in the filter's cache.
#pragma once

#include <optional>
#include <vector>

#include "kernels/cuda/convolution.cuh"

namespace unet::kernels::gpu {

/// What distinguishes the packed forms of one filter.
struct PackedForm {
  FilterOrder order;
  int kind = 0;  // the kernel's own number: layout and element type
  int64_t columns = 0, depth = 0;

  bool operator==(const PackedForm&) const = default;
};

/// Memory of a packed filter.
class PackedFilter {
 public:
  using Memory = Scratch<unsigned char>;

  /// From the cache where there is one, else from the workspace. Throws OutOfMemory.
  PackedFilter(const Context& context, FilterCache* cache, const PackedForm& form, int64_t bytes) {
    if (cache == nullptr) {
      own_.emplace(*context.workspace, bytes);
      data_ = own_->data();
      return;
    }
    auto* entry = dynamic_cast<Entry*>(cache->entry().get());
    if (entry == nullptr) {
      cache->entry() = std::make_shared<Entry>();
      entry = static_cast<Entry*>(cache->entry().get());
    }
    for (const Kept& kept : entry->kept) {
      if (kept.form == form) {
        data_ = kept.memory->data();
        is_filled_ = true;
        return;
      }
    }
    entry->kept.push_back({form, std::make_unique<Memory>(*context.workspace, bytes)});
    data_ = entry->kept.back().memory->data();
  }

  /// Whether an earlier call has filled it.
  bool is_filled() const { return is_filled_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  struct Kept {
    PackedForm form;
    std::unique_ptr<Memory> memory;
  };
  struct Entry : FilterCache::Entry {
    std::vector<Kept> kept;
  };

  std::optional<Memory> own_;
  unsigned char* data_ = nullptr;
  bool is_filled_ = false;
};

}  // namespace unet::kernels::gpu
