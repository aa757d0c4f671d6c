// The emulated multiprocessor: runs the blocks of a grid one after another, each thread a fiber that waits where a CUDA
// thread waits. Part of the emulator; kernels see runtime.h and models.h.
//
// Kernel sources and the emulator may instantiate the same function of the standard library, of which the linker keeps
// one: the instrumented one, perhaps, whose accesses look like a kernel's. So what grows while a kernel runs holds
// types of the emulator's own, or has been reserved.
#pragma once

#include <array>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "kernels/emulated/async_copy.h"
#include "kernels/emulated/bulk_copy.h"
#include "kernels/emulated/checker.h"
#include "kernels/emulated/fiber.h"
#include "kernels/emulated/mbarrier.h"
#include "kernels/emulated/schedule.h"
#include "kernels/emulated/shared_window.h"
#include "kernels/emulated/vector_types.h"
#include "kernels/emulated/wgmma.h"
#include "kernels/target_state.h"

namespace unet::kernels::emulated {

constexpr unsigned kWarpSize = 32;
constexpr unsigned kMaxThreads = 1024;  // of a block
constexpr unsigned kMaxWarps = kMaxThreads / kWarpSize;
constexpr unsigned kBarriers = 16;

/// A kernel with its arguments; call(arguments) is one thread of it.
struct Grid {
  dim3 grid, block;
  size_t shared_bytes = 0;
  Site site;
  void (*call)(const void* arguments) = nullptr;
  const void* arguments = nullptr;
  size_t argument_bytes = 0;
};

/// A thread of the running block.
struct Thread {
  enum class Phase : uint8_t { unstarted, ready, running, waiting, done };

  uint3 index{};
  unsigned linear = 0;
  Phase phase = Phase::unstarted;
  Stack* stack = nullptr;
  Fiber fiber;
  const char* waits_in = "";  // where phase is waiting
  Site site;
  unsigned barrier_votes = 0;          // result of the last barrier
  const uint64_t* mbarrier = nullptr;  // that it waits for
  AsyncCopies copies;
  BulkStores stores;

  unsigned lane() const { return linear % kWarpSize; }
  unsigned warp() const { return linear / kWarpSize; }
};

enum class WarpOperation : uint8_t { sync, shuffle, ballot, reduce, ldmatrix, stmatrix, mma, elect };

/// Lanes of a warp that meet in one operation. The last one to come computes the results of all.
struct Meeting {
  unsigned mask;  // who is to come
  WarpOperation operation;
  Site site;
  unsigned arrived = 0;
  std::array<void*, kWarpSize> slots{};  // operands and results of each lane
};
using Resolve = void (*)(Meeting&);

struct Warp {
  unsigned present = 0;  // lanes that exist
  unsigned exited = 0;
  std::vector<Meeting> meetings;  // with different masks
};

struct Barrier {
  unsigned expected = 0;  // threads; meaningful while any wait
  Site site;
  unsigned votes = 0;
  std::vector<unsigned> arrived;
};

/// Numbers that depend on the seed alone.
class Random {
 public:
  void seed(uint64_t seed) { state_ = seed * 0x9E3779B97F4A7C15U + 1; }
  uint32_t next();
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(uint64_t{next()} * bound >> 32); }

 private:
  uint64_t state_ = 1;
};

class Multiprocessor {
 public:
  explicit Multiprocessor(Checker& c);
  Multiprocessor(const Multiprocessor&) = delete;
  Multiprocessor& operator=(const Multiprocessor&) = delete;

  /// Runs the grid. Throws KernelDefect for what was found wrong with it.
  void execute(const Grid& grid, const Schedule& schedule, const DeviceInfo& device);

  // --- For the models of instructions, on behalf of the running thread
  Checker& checker;
  Random random;
  Schedule schedule;
  SharedWindow shared;
  Mbarriers mbarriers;
  BulkLoads loads;

  Thread& running() { return *running_; }
  Thread& thread(unsigned linear) { return threads_[linear]; }
  Warp& warp() { return warps_[running_->warp()]; }
  Barrier& barrier(unsigned id) { return barriers_[id]; }
  Warpgroup& warpgroup(unsigned index) { return warpgroups_[index]; }
  unsigned threads() const { return thread_count_; }
  unsigned live() const { return live_; }
  size_t shared_limit() const { return shared_limit_; }
  uint3 block_index() const { return block_; }
  const Grid& grid() const { return *grid_; }

  /// Whether an asynchronous operation that has just been started takes place at once.
  bool completes_now();
  /// Lets others run until wake() is called for the running thread.
  void wait(const char* in, Site site);
  void wake(unsigned linear);
  /// The lanes of the mask meet in `operation`; the last one has the results computed.
  void meet(unsigned mask, WarpOperation operation, void* slot, Resolve resolve, Site site);
  void report(Defect defect, Site site, const std::string& what) { checker.report(defect, site, what); }
  /// Reports, and gives up the launch: nothing sensible can follow.
  [[noreturn]] void abandon(Defect defect, Site site, const std::string& what);

 private:
  bool check_shape(const Grid& grid, const DeviceInfo& device);
  void run_block(uint64_t linear);
  [[noreturn]] void give_up();
  static void run_threads();  // body of a fiber: threads one after another, until one stays behind on its stack
  void enter(Thread& thread);
  void leave();  // the running thread has ended
  void check_registers();
  void finish(Warp& warp, size_t meeting, Resolve resolve);
  Thread* pick();
  unsigned pick_warp();
  void report_deadlock();
  Stack& take_stack();

  const Grid* grid_ = nullptr;
  uint3 block_{};
  unsigned thread_count_ = 0, live_ = 0;
  size_t shared_limit_ = 0;
  std::vector<Thread> threads_;
  std::array<Warp, kMaxWarps> warps_;
  std::array<Barrier, kBarriers> barriers_;
  std::array<Warpgroup, kMaxThreads / kWarpgroupSize> warpgroups_;
  Thread* running_ = nullptr;

  // Threads that can go on: a bit per lane, a bit per warp that has any.
  std::array<unsigned, kMaxWarps> runnable_lanes_{};
  unsigned runnable_warps_ = 0;
  std::array<uint32_t, kMaxWarps> priority_{};
  unsigned cursor_ = 0;

  std::vector<std::unique_ptr<Stack>> stacks_;
  std::vector<Stack*> free_stacks_;
  Fiber main_;
  Stack* starting_stack_ = nullptr;
  Thread* starting_thread_ = nullptr;
  bool abandoned_ = false;
  std::exception_ptr error_;  // of the emulator itself, for which it was abandoned
};

/// The multiprocessor that runs on this thread of the operating system; null outside of kernels.
extern constinit thread_local Multiprocessor* active;
inline Multiprocessor& sm() { return *active; }

/// "thread (1,0,0)"
std::string name_of(const Thread& thread);

}  // namespace unet::kernels::emulated
