// The target under test, and memory of it that host code may read and write as well.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include "kernels/context.h"
#if defined(UNET_TESTS_NEED_GPU)
#include <cuda_runtime_api.h>

#include "kernels/cuda/state.h"
#endif
#if UNET_WITH_EMULATED
#include "kernels/emulated/state.h"
#endif

// A test program is compiled for one target: cpu, emulated or cuda. That of the cpu tests the reference as well.
#ifndef UNET_TEST_TARGET
#define UNET_TEST_TARGET cpu
#endif

namespace unet::kernels::test {

inline constexpr Target kTarget = Target::UNET_TEST_TARGET;
inline constexpr bool kOnDevice = kTarget != Target::cpu;

/// The one device that all operands of a program live on.
inline const std::shared_ptr<TargetState>& device_state() {
  static const std::shared_ptr<TargetState> state = make_target_state(kTarget);
  return state;
}

/// Memory of the target under test. Kernels may touch the bytes [begin, end) of it and no others; the emulated target
/// reports them if they do, and if they read what was neither uploaded nor written by a kernel.
class TargetMemory {
 public:
  TargetMemory(size_t bytes, size_t begin, size_t end) {
    if constexpr (kTarget == Target::cuda) {
#if defined(UNET_TESTS_NEED_GPU)
      void* memory = nullptr;
      cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;  // a test may be recording the work that this is for
      cudaThreadExchangeStreamCaptureMode(&mode);
      const cudaError_t status = cudaMallocManaged(&memory, bytes);
      cudaThreadExchangeStreamCaptureMode(&mode);
      cuda::require(status, "memory of a test");
      memory_ = {memory, [](void* p) { cudaFree(p); }};
#endif
    } else if constexpr (kTarget == Target::emulated) {
      std::shared_ptr<AddressSpace> space = device_state()->reserve(bytes);
      const size_t unit = space->granularity();
      if (!space->commit(0, (bytes + unit - 1) / unit * unit)) throw OutOfMemory("memory of a test", bytes, 0);
      char* const base = space->base();
      space->on_allocate(base + begin, end - begin);
      memory_ = {base, [space, begin, end](char* p) { space->on_release(p + begin, end - begin); }};
    } else {
      constexpr std::align_val_t alignment{64};
      memory_ = {::operator new(bytes, alignment), [](void* p) { ::operator delete (p, std::align_val_t{64}); }};
    }
  }

  void* data() const { return memory_.get(); }

  /// A write by the host, while the device is idle, that counts as one: to the emulated target everything else it
  /// writes stays undefined.
  static void upload(void* to, const void* from, size_t bytes) {
    if constexpr (kTarget == Target::emulated) {
      device_state()->upload(to, from, bytes);
    } else {
      std::memcpy(to, from, bytes);
    }
  }

 private:
  std::shared_ptr<void> memory_;
};

}  // namespace unet::kernels::test
