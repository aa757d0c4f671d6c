// wgmma: products of matrices in shared memory, by four warps together and beside their threads.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "kernels/emulated/checker.h"

namespace unet::kernels::emulated {

class Multiprocessor;
struct Thread;

constexpr unsigned kWarpgroupSize = 128;

/// One instruction, in the order of the warpgroup.
struct Wgmma {
  bool tf32 = false;
  int columns = 0;
  uint64_t a = 0, b = 0;  // matrix descriptors
  bool accumulate = false;
  Site site;
  std::array<float*, kWarpgroupSize> sums{};  // of each thread, once it has issued the instruction
  unsigned issued = 0;                        // threads
  bool performed = false;
  Agent agent{};
};

class Warpgroup {
 public:
  void clear();
  /// The running thread issues its next instruction.
  void issue(Multiprocessor& sm, Wgmma wgmma, float* sums);
  void commit(Multiprocessor& sm);
  /// Waits until at most `pending` of the running thread's newest groups are unfinished.
  void wait(Multiprocessor& sm, int pending, Site site);
  /// Where a thread of the warpgroup issued an instruction that it has not waited for; null if there is none.
  const Site* unfinished(unsigned thread) const;

  /// Registers per thread that setmaxnreg has left, and where; 0 where it was not used.
  unsigned registers = 0;
  Site registers_site;

 private:
  struct Group {
    uint64_t end;  // number of the instruction behind it
  };
  struct Issuer {
    uint64_t issued = 0, finished = 0;  // instructions of this thread
    std::vector<Group> groups;          // committed and not waited for
  };
  void perform(Multiprocessor& sm, Wgmma& wgmma);
  void check_operands(Multiprocessor& sm, const Wgmma& wgmma);

  std::deque<Wgmma> queue_;
  uint64_t first_ = 0;  // number of queue_[0]
  std::array<Issuer, kWarpgroupSize> issuers_;
  std::vector<Thread*> waiting_;
};

}  // namespace unet::kernels::emulated
