// Small kernels with planted defects, which test the checker of the emulated target: it must report each, as what it
// is, and nothing about the kernels without one.
//
// A kernel is a template over `Bug`. What differs stands in the kernel itself, as `if constexpr (kBug == ...)`, so that
// one compilation has the correct kernel and all of its mutants.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/cuda/device.cuh"
#include "kernels/emulated/checker.h"

namespace unet::kernels::gpu::mutants {

using emulated::Defect;

/// One kernel with at most one defect.
struct Mutant {
  const char* name;
  std::vector<Defect> expected;   // one of these is reported, whatever the schedule; empty: nothing may be
  bool (*run)(const Context&);    // whether the results are right; asked where there is no defect
  std::vector<Defect> also = {};  // consequences, which may be reported besides
};

// One list per source: first the correct kernel, then its mutants.
std::vector<Mutant> elementwise();
std::vector<Mutant> reduction();
std::vector<Mutant> warp_exchange();
std::vector<Mutant> convolution();
std::vector<Mutant> hopper();
std::vector<Mutant> split_k();
std::vector<Mutant> pooling();

/// Device memory of its own, with room around it that is nobody's.
template <class T>
class DeviceArray {
 public:
  /// Undefined contents.
  DeviceArray(const Context& context, size_t count)
      : state_(context.state.get()), count_(count), space_(state_->reserve(2 * kRoom + bytes())) {
    const size_t committed =
        (2 * kRoom + bytes() + space_->granularity() - 1) / space_->granularity() * space_->granularity();
    if (!space_->commit(0, committed)) throw OutOfMemory("mutants: no device memory", committed, 0);
    space_->on_allocate(data(), bytes());
  }
  DeviceArray(const Context& context, const std::vector<T>& values) : DeviceArray(context, values.size()) {
    state_->upload(data(), values.data(), bytes());
  }
  ~DeviceArray() {
    if (is_allocated_) space_->on_release(data(), bytes());
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return reinterpret_cast<T*>(space_->base() + kRoom); }
  void release() {
    space_->on_release(data(), bytes());
    is_allocated_ = false;
  }
  std::vector<T> download() const {
    std::vector<T> values(count_);
    state_->download(values.data(), data(), bytes());
    return values;
  }

 private:
  static constexpr size_t kRoom = 1024;  // bytes before and after

  size_t bytes() const { return count_ * sizeof(T); }

  TargetState* state_;
  size_t count_;
  std::unique_ptr<AddressSpace> space_;
  bool is_allocated_ = true;
};

/// Small integers, whose sums are exact in any order.
template <class T>
std::vector<T> integers(size_t count, int from = -3) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = static_cast<T>(static_cast<float>(static_cast<int>(i * 7 % 11) + from));
  return values;
}

}  // namespace unet::kernels::gpu::mutants
