// What g++ -fsanitize=thread calls before every access of instrumented code, in place of ThreadSanitizer's library.
#include <cstring>

#include "kernels/emulated/checker_access.h"

using unet::kernels::emulated::Checker;

// NOLINTBEGIN(bugprone-reserved-identifier): the compiler's names
#define UNET_ACCESS(bytes)                                                                                          \
  void __tsan_read##bytes(void* p) {                                                                                \
    if (Checker* const checker = Checker::running()) checker->access<false, bytes>(p, __builtin_return_address(0)); \
  }                                                                                                                 \
  void __tsan_write##bytes(void* p) {                                                                               \
    if (Checker* const checker = Checker::running()) checker->access<true, bytes>(p, __builtin_return_address(0));  \
  }                                                                                                                 \
  void __tsan_unaligned_read##bytes(void* p) { check_unaligned(p, bytes, false, __builtin_return_address(0)); }     \
  void __tsan_unaligned_write##bytes(void* p) { check_unaligned(p, bytes, true, __builtin_return_address(0)); }

namespace {

void check_unaligned(const void* p, size_t bytes, bool is_write, const void* code) {
  Checker* const checker = Checker::running();
  if (checker != nullptr && bytes != 0) checker->access_unaligned(p, bytes, is_write, code);
}

}  // namespace

extern "C" {

UNET_ACCESS(1)
UNET_ACCESS(2)
UNET_ACCESS(4)
UNET_ACCESS(8)
UNET_ACCESS(16)

void __tsan_read_range(void* p, size_t bytes) { check_unaligned(p, bytes, false, __builtin_return_address(0)); }
void __tsan_write_range(void* p, size_t bytes) { check_unaligned(p, bytes, true, __builtin_return_address(0)); }

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}

// Calls of memcpy and the like in instrumented code, which g++ leaves alone, have these names (device.h).
void* unet_emulated_memcpy(void* to, const void* from, size_t bytes) {
  check_unaligned(from, bytes, false, __builtin_return_address(0));
  check_unaligned(to, bytes, true, __builtin_return_address(0));
  return memcpy(to, from, bytes);
}
void* unet_emulated_memmove(void* to, const void* from, size_t bytes) {
  check_unaligned(from, bytes, false, __builtin_return_address(0));
  check_unaligned(to, bytes, true, __builtin_return_address(0));
  return memmove(to, from, bytes);
}
void* unet_emulated_memset(void* to, int value, size_t bytes) {
  check_unaligned(to, bytes, true, __builtin_return_address(0));
  return memset(to, value, bytes);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier)
