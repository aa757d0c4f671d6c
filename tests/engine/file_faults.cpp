#include "tests/engine/file_faults.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>

namespace unet::test {
namespace {

struct {
  bool armed = false;
  int k = 0;
  Fault fault = Fault::once;
  int error = 0;
  int calls = 0;
} plan;

/// Counts a call; true where it has to fail, with errno set.
bool fails() {
  if (!plan.armed) return false;
  ++plan.calls;
  const bool hit = plan.k > 0 && (plan.fault == Fault::for_ever ? plan.calls >= plan.k : plan.calls == plan.k);
  if (!hit) return false;
  if (plan.fault == Fault::kill) raise(SIGKILL);
  errno = plan.error;
  return true;
}

}  // namespace

FileFaults::FileFaults(int k, Fault fault, int error) {
  plan = {.armed = true, .k = k, .fault = fault, .error = error, .calls = 0};
}
FileFaults::~FileFaults() { plan.armed = false; }
int FileFaults::calls() const { return plan.calls; }

}  // namespace unet::test

using unet::test::fails;
using unet::test::Fault;
using unet::test::plan;

extern "C" {

int __real_openat(int folder, const char* name, int flags, ...);
int __real_fallocate(int file, int mode, off_t offset, off_t bytes);
ssize_t __real_pwrite(int file, const void* data, size_t bytes, off_t offset);
int __real_fsync(int file);
int __real_close(int file);
int __real_renameat(int from_folder, const char* from, int to_folder, const char* to);

int __wrap_openat(int folder, const char* name, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  return fails() ? -1 : __real_openat(folder, name, flags, mode);
}
int __wrap_fallocate(int file, int mode, off_t offset, off_t bytes) {
  return fails() ? -1 : __real_fallocate(file, mode, offset, bytes);
}
ssize_t __wrap_pwrite(int file, const void* data, size_t bytes, off_t offset) {
  const bool half = plan.armed && plan.fault == Fault::half;
  return fails() ? -1 : __real_pwrite(file, data, half ? (bytes + 1) / 2 : bytes, offset);
}
int __wrap_fsync(int file) { return fails() ? -1 : __real_fsync(file); }
int __wrap_close(int file) {  // a close that reports an error has closed nevertheless
  const bool failed = fails();
  const int reason = errno;
  const int result = __real_close(file);
  if (failed) errno = reason;
  return failed ? -1 : result;
}
int __wrap_renameat(int from_folder, const char* from, int to_folder, const char* to) {
  return fails() ? -1 : __real_renameat(from_folder, from, to_folder, to);
}
}
