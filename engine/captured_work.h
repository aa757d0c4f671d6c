// Work that is told to a device once and executed many times.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/device.h"

namespace unet::engine {

/// A recorded sequence of operations on a device that can capture (kernels::TargetState). Every replay executes the
/// same kernels on the same addresses: what may differ from time to time are the values in tensors that outlive the
/// recording. The memory of all others is held until the recording is destroyed.
class CapturedWork {
 public:
  /// Records what `work` tells the device to do; nothing is executed yet. `work` must not wait for the device. Throws
  /// what `work` throws, and DeviceError.
  CapturedWork(std::shared_ptr<Device> device, const std::function<void()>& work);
  /// Replays that are under way come to their end.
  ~CapturedWork();
  CapturedWork(const CapturedWork&) = delete;
  CapturedWork& operator=(const CapturedWork&) = delete;

  /// Queues one execution.
  void replay() const;

 private:
  void release_held();

  std::shared_ptr<Device> device_;
  std::unique_ptr<kernels::CapturedGraph> graph_;
  std::vector<void*> held_;  // blocks of the arena
};

}  // namespace unet::engine
