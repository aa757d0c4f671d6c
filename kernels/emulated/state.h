// State of the emulated target: a device that executes kernels on the calling thread, under the checker.
#pragma once

#include <functional>
#include <memory>

#include "kernels/context.h"
#include "kernels/emulated/checker.h"
#include "kernels/emulated/schedule.h"
#include "kernels/emulated/vector_types.h"

namespace unet::kernels::emulated {

class Multiprocessor;

/// A kernel with its arguments, kept for as long as it may be executed.
struct Launch {
  dim3 grid, block;
  size_t shared_bytes = 0;
  Site site;
  void (*call)(const void* arguments) = nullptr;
  std::shared_ptr<const void> arguments;
  size_t argument_bytes = 0;
};

class State final : public TargetState {
 public:
  State();
  ~State() override;

  // --- For tests. Settings hold for the launches that follow.
  void set_schedule(const Schedule& schedule) { schedule_ = schedule; }
  const Schedule& schedule() const { return schedule_; }
  /// Which device it presents itself as: 80 or 90, with the shared memory of an A100 or an H100.
  void set_capability(int capability);
  void set_multiprocessors(int count) { device_.multiprocessors = count; }
  /// The most device memory that can be committed.
  void set_memory(size_t bytes);
  int64_t launches() const { return launches_; }

  // --- For launchers
  const DeviceInfo& device() const { return device_; }
  unsigned long long* bad_pixel() const { return bad_pixel_; }
  /// Throws KernelDefect.
  void launch(const Launch& launch);
  void clear(void* data, size_t bytes);

  // --- TargetState
  std::unique_ptr<AddressSpace> reserve(size_t bytes) override;
  DeviceInfo info() const override;
  void upload(void* to, const void* from, size_t bytes) override;
  void download(void* to, const void* from, size_t bytes) override;
  std::shared_ptr<void> allocate_staging(size_t bytes) override;
  void synchronize() override;
  bool can_capture() const override { return true; }
  void begin_capture() override;
  std::unique_ptr<CapturedGraph> end_capture() override;
  void replay(const CapturedGraph& graph) override;

 private:
  struct Memory;  // shared with the address spaces, which may outlive the state
  class DeviceAddressSpace;
  class Graph;

  void perform(std::function<void()> work);  // now, or whenever the graph being captured is replayed

  DeviceInfo device_;
  Schedule schedule_;
  std::shared_ptr<Memory> memory_;
  std::unique_ptr<Multiprocessor> multiprocessor_;
  std::unique_ptr<AddressSpace> own_memory_;
  unsigned long long* bad_pixel_ = nullptr;
  std::unique_ptr<Graph> capture_;
  int64_t launches_ = 0;
};

std::shared_ptr<TargetState> make_state();

/// The context's state. Throws ConfigError where it is missing or belongs to another target.
State& state_of(const Context& context);

}  // namespace unet::kernels::emulated
