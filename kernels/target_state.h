// The memory of a target and the order in which it works: all that differs between a host and a device besides kernels.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace unet::kernels {

enum class Target : uint8_t;

/// A range of a target's addresses that is backed by memory bit by bit. The engine's arena hands out parts of it.
class AddressSpace {
 public:
  virtual ~AddressSpace() = default;
  virtual char* base() const = 0;
  virtual size_t size() const = 0;         // bytes reserved
  virtual size_t granularity() const = 0;  // commit and decommit take multiples of it

  /// Backs [from, to), offsets in bytes, with memory. False, with nothing changed, where there is none.
  virtual bool commit(size_t from, size_t to) noexcept = 0;
  virtual void decommit(size_t from, size_t to) noexcept = 0;

  /// Told of every block that is handed out or given back, so that a checker knows what may be touched.
  virtual void on_allocate(void* /*block*/, size_t /*bytes*/) noexcept {}
  virtual void on_release(void* /*block*/, size_t /*bytes*/) noexcept {}
};

/// What a device is. A host target reports one multiprocessor and capability 0.
struct DeviceInfo {
  std::string name;
  int capability = 0;  // 10*major + minor, as 80 or 90
  int multiprocessors = 1;
  size_t shared_bytes_per_block = 0;  // the most that a kernel may ask for
  size_t free_bytes = 0, total_bytes = 0;
};

/// A recorded sequence of operations; see TargetState::begin_capture.
class CapturedGraph {
 public:
  virtual ~CapturedGraph() = default;
};

/// State that a target keeps between calls: streams, compiled primitives. Work is done in the order it was given; a
/// device may do it later. Whatever its methods throw for a device that failed is a DeviceError.
class TargetState {
 public:
  virtual ~TargetState() = default;

  /// Address space for `bytes` bytes, or for as many as there can be. It belongs to this state, which outlives it.
  /// Throws OutOfMemory.
  virtual std::unique_ptr<AddressSpace> reserve(size_t bytes) = 0;

  virtual DeviceInfo info() const = 0;

  /// Copies in the order of the other work. upload() may return before the copy is made only if `from` is memory of
  /// allocate_staging(); download() returns when it is made, and throws what operations before it have found wrong.
  virtual void upload(void* to, const void* from, size_t bytes) = 0;
  virtual void download(void* to, const void* from, size_t bytes) = 0;
  /// Host memory from which uploads run beside the work of the host. Throws OutOfMemory.
  virtual std::shared_ptr<void> allocate_staging(size_t bytes) = 0;
  /// Copies from memory of allocate_staging(), beside the work given before and after. Nothing else may use `to` until
  /// join_uploads(); work given after that finds the copies made.
  virtual void upload_beside(void* to, const void* from, size_t bytes) { upload(to, from, bytes); }
  virtual void join_uploads() {}

  /// Waits until all work is done. Throws DataError for input that a kernel found to be wrong (see the operations).
  virtual void synchronize() = 0;

  /// From begin_capture() to end_capture() operations are recorded instead of executed, with their operands' addresses;
  /// replay() executes them. Downloads and synchronize() are not allowed in between.
  virtual bool can_capture() const { return false; }
  virtual void begin_capture() {}
  virtual std::unique_ptr<CapturedGraph> end_capture() { return nullptr; }
  virtual void replay(const CapturedGraph& /*graph*/) {}
};

/// `device` counts the GPUs that the process sees; other targets have one device. Throws ConfigError where this build
/// or this machine does not have it.
std::shared_ptr<TargetState> make_target_state(Target target, int device = 0);

}  // namespace unet::kernels
