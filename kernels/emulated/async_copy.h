// cp.async: copies of 16 bytes from global to shared memory beside the thread that starts them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/emulated/site.h"

namespace unet::kernels::emulated {

class Multiprocessor;

/// The unfinished copies of one thread.
class AsyncCopies {
 public:
  void start(Multiprocessor& sm, void* to, const void* from, int size, int valid, Site site);
  void commit() { ++groups_; }
  /// Finishes all groups but the `pending` newest.
  void wait(Multiprocessor& sm, int pending);
  bool empty() const { return copies_.empty(); }
  Site oldest() const { return copies_.front().site; }
  void clear() {
    copies_.clear();
    groups_ = 0;
  }

 private:
  struct Copy {
    void* to;
    const void* from;
    int size, valid;  // bytes written, and how many of them come from memory
    int64_t group;
    bool done;
    Site site;
  };
  static void perform(Copy& copy);

  std::vector<Copy> copies_;  // in the order they were started
  int64_t groups_ = 0;        // closed so far
};

}  // namespace unet::kernels::emulated
