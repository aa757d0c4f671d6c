// Where tensors live and operations run.
#pragma once

#include <memory>

#include "engine/arena.h"
#include "kernels/context.h"

namespace unet::engine {

struct DeviceOptions {
  kernels::Target target = kernels::Target::cpu;
  int index = 0;    // of the GPU, among those the process sees
  int threads = 0;  // 0: all cores this process may use
  kernels::ConvolutionMode convolution = kernels::ConvolutionMode::fast;
  bool tf32 = false;              // convolutions of f32 with factors rounded to tf32; on GPUs only
  bool capture = true;            // training steps are recorded and replayed where the target can
  size_t memory_limit_bytes = 0;  // 0: no limit
};

/// A target, its context and its memory. Shared by the tensors made on it; used by one thread at a time.
class Device {
 public:
  /// Throws ConfigError where the options cannot be met.
  static std::shared_ptr<Device> make(const DeviceOptions& options = {});

  const kernels::Context& context() const { return context_; }
  Arena& arena() { return arena_; }
  kernels::Target target() const { return context_.target; }
  kernels::TargetState& state() const { return *context_.state; }
  /// True where work is to be recorded and replayed.
  bool captures() const { return capture_ && state().can_capture(); }
  /// True where tensors lie in the memory that the process computes in itself.
  bool uses_host_memory() const;
  /// Bytes that tensors can still get.
  size_t available_bytes() const { return state().info().free_bytes + arena_.bytes_at_hand(); }
  void set_convolution(kernels::ConvolutionMode mode) { context_.convolution = mode; }

  /// False inside a NoGrad scope: operations then record nothing and activations are freed at once.
  bool recording() const { return recording_; }
  /// A number that grows with every call: orders the nodes of the graph.
  int64_t next_node_id() { return ++node_id_; }

 private:
  friend class NoGrad;
  explicit Device(const DeviceOptions& options);

  kernels::Context context_;
  Arena arena_;
  bool capture_;
  bool recording_ = true;
  int64_t node_id_ = 0;
};

/// While it lives, operations on the device record no gradient graph.
class NoGrad {
 public:
  explicit NoGrad(Device& device) : device_(device), before_(device.recording_) { device.recording_ = false; }
  ~NoGrad() { device_.recording_ = before_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  Device& device_;
  bool before_;
};

}  // namespace unet::engine
