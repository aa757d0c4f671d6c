// Where and how an operation runs, and the one way to run it.
#pragma once

#include <memory>

#include "kernels/target_state.h"
#include "kernels/types.h"
#include "kernels/view.h"

namespace unet::kernels {

// One tag type per target; an operation has one execute() overload per target (UNET_DECLARE_OPERATION).
struct Reference {};  // plain loops, wide accumulation: the definition
struct Cpu {};        // oneDNN for convolutions, OpenMP for the rest
struct Cuda {};       // hand-written kernels on an NVIDIA GPU
struct Emulated {};   // the same kernels, executed on the CPU under a checker: for tests
struct Cudnn {};      // cuDNN for convolutions, the cuda target for the rest: the baseline of benchmarks

enum class Target : uint8_t { reference, cpu, cuda, emulated, cudnn };

constexpr const char* name_of(Target target) {
  switch (target) {
    case Target::reference:
      return "reference";
    case Target::cpu:
      return "cpu";
    case Target::cuda:
      return "cuda";
    case Target::emulated:
      return "emulated";
    case Target::cudnn:
      break;
  }
  return "cudnn";
}

// Which targets this build has. The build sets the macros; a target that is not built is refused by name at run time.
#ifndef UNET_WITH_CUDA
#define UNET_WITH_CUDA 0
#endif
#ifndef UNET_WITH_EMULATED
#define UNET_WITH_EMULATED 0
#endif
#ifndef UNET_WITH_CUDNN
#define UNET_WITH_CUDNN 0
#endif
template <class Target>
inline constexpr bool kBuilt = true;
template <>
inline constexpr bool kBuilt<Cuda> = UNET_WITH_CUDA;
template <>
inline constexpr bool kBuilt<Emulated> = UNET_WITH_EMULATED;
template <>
inline constexpr bool kBuilt<Cudnn> = UNET_WITH_CUDNN;

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

/// All that an operation needs besides its operands. No global state: whoever runs an operation passes one of these.
struct Context {
  Target target = Target::cpu;
  int threads = 1;  // OpenMP threads of the cpu target
  ConvolutionMode convolution = ConvolutionMode::fast;
  bool tf32 = false;                   // cuda: products of f32 on tensor cores, factors rounded to 10 bits of mantissa
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

/// The element types a target computes with.
template <class Target, class T>
inline constexpr bool kSupports = std::is_same_v<Target, Reference> || !std::is_same_v<T, double>;

// Declares one execute() per target for an operation template. Each is defined, and instantiated for the supported
// types, in kernels/<target>/<stem>.cpp; one that is missing is a link error naming operation and target.
#define UNET_DECLARE_OPERATION(Operation)                                      \
  template <class T>                                                           \
  void execute(Reference target, const Context& context, const Operation<T>&); \
  template <class T>                                                           \
  void execute(Cpu target, const Context& context, const Operation<T>&);       \
  template <class T>                                                           \
  void execute(Cuda target, const Context& context, const Operation<T>&);      \
  template <class T>                                                           \
  void execute(Emulated target, const Context& context, const Operation<T>&);  \
  template <class T>                                                           \
  void execute(Cudnn target, const Context& context, const Operation<T>&)

/// Checks the operands, then runs the operation on the context's target.
template <class Operation>
void run(const Context& context, const Operation& operation) {
  operation.check();
  const auto on = [&]<class Target>(Target target) {
    if constexpr (kBuilt<Target> && kSupports<Target, typename Operation::Element>) {
      execute(target, context, operation);
    } else {
      throw TypeError(concat(Operation::kName, ": ", name_of(DTypeOf<typename Operation::Element>::value),
                             " is not computed on target ", name_of(context.target), "; use the reference target"));
    }
  };
  switch (context.target) {
    case Target::reference:
      return on(Reference{});
    case Target::cpu:
      return on(Cpu{});
    case Target::cuda:
      return on(Cuda{});
    case Target::emulated:
      return on(Emulated{});
    case Target::cudnn:
      return on(Cudnn{});
  }
}

}  // namespace unet::kernels
