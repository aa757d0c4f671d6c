// A tensor whose next values travel to the device while it still computes with the present ones.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "engine/tensor.h"

namespace unet::engine {

/// Values arrive in turns 0, 1, 2, ...: start(turn) sends them off, finish(turn) makes them those of tensor(), whose
/// address never changes. start(turn + 1) may come before the device has done the work of `turn`, but not before that
/// of turn - 1. On a target that computes at once start() writes to the tensor itself.
class StagedTensor {
 public:
  /// Throws OutOfMemory.
  StagedTensor(const std::shared_ptr<Device>& device, const Shape& shape, DType dtype);
  ~StagedTensor();
  StagedTensor(const StagedTensor&) = delete;
  StagedTensor& operator=(const StagedTensor&) = delete;

  /// Values [shape] of T, the element type, in NHWC order. Throws ShapeError, TypeError.
  template <class T>
  void start(int64_t turn, std::span<const T> values);
  /// Queues the copy.
  void finish(int64_t turn);

  const Tensor& tensor() const { return tensor_; }

 private:
  struct Slot {
    std::shared_ptr<void> host;
    Tensor device;
  };
  Slot& slot(int64_t turn) { return slots_[static_cast<size_t>(turn) % slots_.size()]; }

  Tensor tensor_;
  std::array<Slot, 2> slots_;  // empty on a target that computes at once
};

}  // namespace unet::engine
