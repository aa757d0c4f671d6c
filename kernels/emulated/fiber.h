// Stacks, and the switch between executions on them: how a thread of a kernel waits.
#pragma once

#include <cstddef>

// Elsewhere than on x86-64, or when asked for, the C library switches, by way of the kernel, which sets the signal mask
// each time.
#if !defined(__x86_64__) && !defined(UNET_PORTABLE_FIBERS)
#define UNET_PORTABLE_FIBERS
#endif
#if defined(UNET_PORTABLE_FIBERS)
#include <ucontext.h>
#endif

namespace unet::kernels::emulated {

/// Memory for one execution, with a guard page below. `number` staggers the tops of stacks over the sets of the cache.
class Stack {
 public:
  explicit Stack(size_t number);
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  char* low() const { return low_; }
  char* high() const { return high_; }

 private:
  char* low_;
  char* high_;
};

/// Where an execution goes on that has been left by start() or resume().
class Fiber {
 public:
  /// Leaves this execution and runs entry() on an unused stack; entry() must not return.
  void start(Stack& stack, void (*entry)());
  /// Leaves this execution and goes on with `other`, which is left no more.
  void resume(Fiber& other);

 private:
#if defined(UNET_PORTABLE_FIBERS)
  ucontext_t context_;
#else
  void* stack_pointer_ = nullptr;
#endif
};

}  // namespace unet::kernels::emulated
