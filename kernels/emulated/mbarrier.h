// mbarrier: a barrier in shared memory that threads arrive at and wait for apart, and that counts the bytes of copies.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/emulated/checker.h"

namespace unet::kernels::emulated {

class Multiprocessor;
struct Thread;

/// The mbarriers of a block. Their counts are kept in their 8 bytes of shared memory, so that whatever overwrites them
/// is felt; here is what the emulator knows besides.
class Mbarriers {
 public:
  void clear() { objects_.clear(); }
  void init(Multiprocessor& sm, uint64_t* barrier, unsigned arrivals, Site site);
  void arrive(Multiprocessor& sm, uint64_t* barrier, unsigned expected_bytes, Site site);
  void wait(Multiprocessor& sm, uint64_t* barrier, unsigned parity, Site site);

  /// Abandons the launch where this is no mbarrier that a copy may complete on.
  void require_usable(Multiprocessor& sm, uint64_t* barrier, bool by_async_proxy, const char* instruction, Site site);
  /// A copy has brought `bytes` bytes.
  void complete_bytes(Multiprocessor& sm, uint64_t* barrier, unsigned bytes, Agent copy);
  /// "phase 3 lacks 1 arrival and 4096 bytes"
  std::string describe(const uint64_t* barrier) const;

 private:
  struct Object {
    uint64_t phases = 0;  // ended so far
    std::vector<Thread*> waiting;
    Clock arrived;      // what those who arrived in this phase had done
    Clock released[2];  // the same for the phases that ended last, by parity
  };
  void end_phase_if_complete(Multiprocessor& sm, uint64_t* barrier, Object& object);

  std::unordered_map<const uint64_t*, Object> objects_;
};

}  // namespace unet::kernels::emulated
