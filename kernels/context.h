// Where and how an operation runs, and the one way to run it.
#pragma once

#include <memory>

#include "kernels/types.h"
#include "kernels/view.h"

namespace unet::kernels {

// One tag type per target; an operation has one execute() overload per target (UNET_DECLARE_OPERATION).
struct Reference {};  // plain loops, wide accumulation: the definition
struct Cpu {};        // oneDNN for convolutions, OpenMP for the rest

enum class Target : uint8_t { reference, cpu };

constexpr const char* name_of(Target target) { return target == Target::reference ? "reference" : "cpu"; }

/// The layout in which a target computes fastest on images of this many channels.
constexpr Layout preferred_layout(Target target, int64_t channels) {
  return target == Target::cpu && channels >= kChannelBlock / 2 ? Layout::blocked : Layout::nhwc;
}

/// Memory for a kernel's own use while it runs. The engine's arena implements it; kernels never allocate otherwise.
class Workspace {
 public:
  virtual ~Workspace() = default;
  /// At least `bytes` bytes, aligned to 64. Throws OutOfMemory.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* block) noexcept = 0;
};

/// A workspace block that is given back at the end of the scope.
template <class T>
class Scratch {
 public:
  Scratch(Workspace& workspace, int64_t count)
      : workspace_(&workspace), data_(static_cast<T*>(workspace.allocate(static_cast<size_t>(count) * sizeof(T)))) {}
  ~Scratch() { workspace_->release(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }
  T& operator[](int64_t i) const { return data_[i]; }

 private:
  Workspace* workspace_;
  T* data_;
};

/// How convolutions are computed.
enum class ConvolutionMode : uint8_t {
  fast,   // per layer the fastest algorithm measured, Winograd included: relative error <= 2e-5
  direct  // direct sums: least memory, and results that do not depend on the position or size of a tile
};

/// State that a target keeps between calls (a primitive cache, streams). Opaque outside the target.
struct TargetState {
  virtual ~TargetState() = default;
};

/// All that an operation needs besides its operands. No global state: whoever runs an operation passes one of these.
struct Context {
  Target target = Target::cpu;
  int threads = 1;  // OpenMP threads of the cpu target
  ConvolutionMode convolution = ConvolutionMode::fast;
  Workspace* workspace = nullptr;      // never null when an operation runs
  std::shared_ptr<TargetState> state;  // made by make_target_state(target)
};

/// Target-owned packed copy of a filter, kept between calls by whoever owns the parameter. A target that wants its
/// filters in another order or precision fills it on first use. reset() must follow every change of the parameter.
class FilterCache {
 public:
  struct Entry {
    virtual ~Entry() = default;
  };
  void reset() { entry_.reset(); }
  std::shared_ptr<Entry>& entry() { return entry_; }

 private:
  std::shared_ptr<Entry> entry_;
};

std::shared_ptr<TargetState> make_target_state(Target target);

/// The element types a target computes with.
template <class Target, class T>
inline constexpr bool kSupports = std::is_same_v<Target, Reference> || !std::is_same_v<T, double>;

// Declares one execute() per target for an operation template. Each is defined, and instantiated for the supported
// types, in kernels/<target>/<stem>.cpp; one that is missing is a link error naming operation and target.
#define UNET_DECLARE_OPERATION(Operation)                                      \
  template <class T>                                                           \
  void execute(Reference target, const Context& context, const Operation<T>&); \
  template <class T>                                                           \
  void execute(Cpu target, const Context& context, const Operation<T>&)

/// Checks the operands, then runs the operation on the context's target.
template <class Operation>
void run(const Context& context, const Operation& operation) {
  using Element = typename Operation::Element;
  operation.check();
  switch (context.target) {
    case Target::reference:
      return execute(Reference{}, context, operation);
    case Target::cpu:
      if constexpr (kSupports<Cpu, Element>) return execute(Cpu{}, context, operation);
      break;
  }
  throw TypeError(concat(Operation::kName, ": ", name_of(DTypeOf<Element>::value), " is not computed on target ",
                         name_of(context.target), "; use the reference target"));
}

}  // namespace unet::kernels
