// What the tests of the emulator share: a device, its memory, and what launches of bad kernels report. Each test stands
// beside its kernels, in a source that is compiled as the kernels of the emulated target are.
#pragma once

#include "kernels/cuda/device.cuh"
// First, for the names of its memcpy.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/emulated/state.h"
#include "tests/catch.h"

namespace unet::kernels::emulated::test {

/// A device with 16 MB of memory, of which blocks are never given back.
class Device {
 public:
  explicit Device(const Schedule& schedule = kSchedules[0], int capability = 80) : state_(std::make_shared<State>()) {
    state_->set_schedule(schedule);
    state_->set_capability(capability);
    memory_ = state_->reserve(kBytes);
    REQUIRE(memory_->commit(0, memory_->size()));
    context_.target = Target::emulated;
    context_.state = state_;
  }

  const Context& context() const { return context_; }
  State& state() { return *state_; }

  /// Poisoned, aligned to 256.
  template <class T>
  T* allocate(size_t count) {
    char* block = memory_->base() + used_;
    used_ += (count * sizeof(T) + 511) / 256 * 256;  // and a gap behind
    REQUIRE(used_ <= memory_->size());
    memory_->on_allocate(block, count * sizeof(T));
    return reinterpret_cast<T*>(block);
  }
  template <class T>
  T* upload(const std::vector<T>& values) {
    T* data = allocate<T>(values.size());
    state_->upload(data, values.data(), values.size() * sizeof(T));
    return data;
  }
  template <class T>
  std::vector<T> download(const T* data, size_t count) {
    std::vector<T> values(count);
    state_->download(values.data(), data, count * sizeof(T));
    return values;
  }

 private:
  static constexpr size_t kBytes = size_t{16} << 20;
  std::shared_ptr<State> state_;
  std::unique_ptr<AddressSpace> memory_;
  size_t used_ = 0;
  Context context_;
};

/// What the launch reports; empty if it is fine.
inline std::vector<Finding> findings_of(const std::function<void()>& launch) {
  try {
    launch();
  } catch (const KernelDefect& defect) {
    return defect.findings();
  }
  return {};
}

/// Requires that the launch reports this defect, with this in its text.
inline void require_defect(Defect defect, const std::string& text, const std::function<void()>& launch) {
  std::string reported;
  bool found = false;
  for (const Finding& finding : findings_of(launch)) {
    reported += finding.text + "\n";
    found = found || (finding.defect == defect && finding.text.find(text) != std::string::npos);
  }
  INFO("expected " << name_of(defect) << " with \"" << text << "\", got:\n" << reported);
  REQUIRE(found);
}

}  // namespace unet::kernels::emulated::test
