// Stacks, and the switch between executions on them: how a thread of a kernel waits.
#pragma once

#include <cstddef>

#if !defined(__x86_64__)
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
#if defined(__x86_64__)
  void* stack_pointer_ = nullptr;
#else
  ucontext_t context_;
#endif
};

}  // namespace unet::kernels::emulated
