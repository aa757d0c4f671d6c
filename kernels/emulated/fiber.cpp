#include "kernels/emulated/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "kernels/error.h"

namespace unet::kernels::emulated {
namespace {

constexpr size_t kStackBytes = size_t{128} << 10;

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

Stack::Stack(size_t number) {
  const size_t guard = page_bytes();
  void* p =
      mmap(nullptr, kStackBytes + guard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw OutOfMemory("emulated: no memory for the stack of a thread", kStackBytes, 0);
  mprotect(p, guard, PROT_NONE);
  low_ = static_cast<char*>(p) + guard;
  high_ = low_ + kStackBytes - number * 576 % 8192 / 64 * 64;
}

Stack::~Stack() {
  const size_t guard = page_bytes();
  munmap(low_ - guard, kStackBytes + guard);
}

#if !defined(UNET_PORTABLE_FIBERS)

// Saves what the System V ABI lets a function expect from its callees, then takes the other stack.
extern "C" void unet_switch_stack(void** from, void* to);
asm(R"(
.text
.globl unet_switch_stack
.hidden unet_switch_stack
.type unet_switch_stack,@function
unet_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size unet_switch_stack,.-unet_switch_stack
)");

void Fiber::start(Stack& stack, void (*entry)()) {
  // What unet_switch_stack pops: six registers, then entry as its return address, above it none to return to.
  auto* top = reinterpret_cast<uint64_t*>(stack.high());
  *--top = 0;
  *--top = reinterpret_cast<uint64_t>(entry);
  for (int i = 0; i < 6; ++i) *--top = 0;
  unet_switch_stack(&stack_pointer_, top);
}

void Fiber::resume(Fiber& other) { unet_switch_stack(&stack_pointer_, other.stack_pointer_); }

#else

void Fiber::start(Stack& stack, void (*entry)()) {
  ucontext_t fresh;
  getcontext(&fresh);
  fresh.uc_stack.ss_sp = stack.low();
  fresh.uc_stack.ss_size = static_cast<size_t>(stack.high() - stack.low());
  fresh.uc_link = nullptr;
  makecontext(&fresh, entry, 0);
  swapcontext(&context_, &fresh);
}

void Fiber::resume(Fiber& other) { swapcontext(&context_, &other.context_); }

#endif

}  // namespace unet::kernels::emulated
