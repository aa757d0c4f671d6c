// Failing file system calls on purpose. The test program is linked with --wrap for the calls listed in file_faults.cpp,
// so the library under test needs no seam for it.
#pragma once

namespace unet::test {

enum class Fault {
  once,      // the k-th call fails
  for_ever,  // the k-th call and all after it fail
  kill,      // the process is killed instead of the k-th call
  half       // every pwrite writes half of what it is given
};

/// While it lives, the k-th wrapped call from now on (1 is the next; 0 none) fails with this errno.
class FileFaults {
 public:
  FileFaults(int k, Fault fault, int error);
  ~FileFaults();
  FileFaults(const FileFaults&) = delete;
  FileFaults& operator=(const FileFaults&) = delete;

  /// Wrapped calls so far.
  int calls() const;
};

}  // namespace unet::test
