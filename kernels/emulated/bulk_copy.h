// TMA: copies of boxes of a tensor between global and shared memory, beside the thread that starts them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/emulated/checker.h"
#include "kernels/emulated/tensor_map.h"

namespace unet::kernels::emulated {

class Multiprocessor;

/// 16 bytes of a box. Those outside of the tensor are zero in shared memory, and not stored.
struct BoxChunk {
  std::byte* global;  // byte 0, also where that lies outside
  std::byte* shared;
  uint8_t begin, end;  // bytes of the chunk that lie in the tensor
};

/// A box of a tensor map, its place in shared memory and how its bytes are changed on the way.
struct Box {
  std::vector<BoxChunk> chunks;
  bool round_to_tf32 = false;
  unsigned bytes() const { return static_cast<unsigned>(chunks.size()) * 16; }
};

/// The unfinished loads of a block.
class BulkLoads {
 public:
  void start(Multiprocessor& sm, Box box, uint64_t* barrier, Site site);
  bool empty() const { return loads_.empty(); }
  Site oldest() const { return loads_.front().site; }
  /// Finishes one of them, any.
  void finish_one(Multiprocessor& sm);
  void clear() { loads_.clear(); }

 private:
  struct Load {
    Box box;
    uint64_t* barrier;
    Agent agent;
    Site site;
  };
  static void perform(Multiprocessor& sm, Load& load);
  std::vector<Load> loads_;
};

/// The stores of one thread that it has not waited for.
class BulkStores {
 public:
  void start(Multiprocessor& sm, Box box, Site site);
  void commit() { ++groups_; }
  /// Waits for all groups but the `pending` newest: until they have read shared memory, or until they are finished.
  void wait(Multiprocessor& sm, int pending, bool read);
  /// Where a store was started that may still read shared memory; null if there is none.
  const Site* unread() const;
  void clear() {
    stores_.clear();
    groups_ = 0;
  }

 private:
  struct Store {
    Box box;
    int64_t group;
    Agent reader, writer;
    bool performed, read;
    Site site;
  };
  static void perform(Store& store);
  std::vector<Store> stores_;
  int64_t groups_ = 0;  // closed so far
};

}  // namespace unet::kernels::emulated
