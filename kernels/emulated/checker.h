// The checker of the emulated target: memcheck, racecheck, initcheck and synccheck for kernels that run without a GPU.
//
// Kernels are compiled with -fsanitize=thread, so that every access to memory calls back (tsan_callbacks.cpp); models
// of instructions call the functions below. The checker keeps a vector clock per thread, another per asynchronous agent
// (a copy engine, a warpgroup's tensor core), and for every two bytes of shared and device memory the last write and
// two reads. Two accesses race where neither is ordered before the other, whatever order the emulator ran them in.
//
// One checker belongs to one device and to one operating-system thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/emulated/shadow.h"
#include "kernels/emulated/site.h"
#include "kernels/error.h"

namespace unet::kernels::emulated {

/// What can be wrong with a kernel.
enum class Defect : uint8_t {
  shared_race,           // two threads of a block, one of them writing, in no order
  global_race,           // the same in device memory, between threads or blocks of a launch
  unfinished_copy,       // touches what an asynchronous copy, not yet waited for, writes or reads
  operand_in_use,        // overwrites shared memory that an unfinished wgmma reads
  accumulator_in_use,    // touches the accumulators of an unfinished wgmma
  missing_wgmma_fence,   // wgmma after its registers were touched, without wgmma.fence
  missing_proxy_fence,   // the async proxy reads what was written by ordinary stores, without fence.proxy.async
  uninitialised_shared,  // read before the block wrote it
  uninitialised_global,  // read before anyone wrote it
  out_of_bounds_shared,
  out_of_bounds_global,
  freed_memory,
  host_memory,  // neither device memory nor the thread's own
  misaligned,
  divergent_barrier,     // threads of a block meet in different barriers, or some have exited
  divergent_collective,  // lanes of a warp in different warp instructions, or a named lane does not come
  deadlock,
  mbarrier_uninitialised,
  mbarrier_unfenced,  // used before its initialisation is visible
  mbarrier_arrivals,  // more arrivals or bytes than expected
  unfinished_at_exit,
  bad_operand,  // an operand outside what the instruction takes
  bad_launch
};
constexpr int kDefects = static_cast<int>(Defect::bad_launch) + 1;
const char* name_of(Defect defect);

struct BlockIndex {
  unsigned x = 0, y = 0, z = 0;
};

/// One defect at one line of a kernel; the same again is counted only.
struct Finding {
  Defect defect;
  std::string text;  // "conv2d.cu:120: shared_race: thread 3 of block 0,0,0 writes ..., which thread 35 read at ..."
  int64_t count = 1;
};

/// Thrown by the launch in which a checker found something.
class KernelDefect : public DeviceError {
 public:
  explicit KernelDefect(std::vector<Finding> found);
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  std::vector<Finding> findings_;
};

/// What a synchronisation object remembers of those who arrived: a clock per agent, then per thread. Empty: nobody.
using Clock = std::vector<uint32_t>;

/// Something that happens beside the threads: one bulk copy, or one wgmma of a warpgroup.
struct Agent {
  unsigned id = 0;
  uint32_t clock = 0;
};

/// Where the shared memory of the running block lies. Static objects are declared one by one.
struct SharedMemory {
  std::byte* base = nullptr;                      // offset 0 of the block's shared window
  uint32_t dynamic_begin = 0, dynamic_bytes = 0;  // offsets in the window
};

class Checker {
 public:
  /// Shared windows have at most this size.
  static constexpr size_t kWindowBytes = size_t{512} << 10;

  Checker();
  ~Checker();
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  // --- Device memory. Whatever is not allocated may not be touched by kernels.
  void add_region(const void* base, size_t bytes);
  void remove_region(const void* base);
  void allocate(const void* block, size_t bytes);  // contents undefined from now on
  void release(const void* block, size_t bytes);
  void write_from_host(const void* to, size_t bytes);  // uploads and memset, in the order of the launches

  // --- Launches and blocks
  /// `parameters` is where the kernel's arguments are kept: kernels may read them, as they may read constants.
  void begin_launch(std::span<const std::byte> parameters);
  /// Throws KernelDefect where anything was reported since begin_launch.
  void end_launch();
  void begin_block(BlockIndex index, unsigned threads, const SharedMemory& shared);
  void end_block();
  void declare_shared(const void* object, size_t bytes);
  /// The operating-system thread executes this thread of the block from now on, on this stack.
  void resume(unsigned thread, const void* stack_low, const void* stack_high);

  // --- What instructions do, on behalf of the running thread
  void read(const void* from, size_t bytes, Site site);
  void write(const void* to, size_t bytes, Site site);
  /// A relaxed read-modify-write. Blocks that fenced before theirs are ordered before the threads that see it.
  void atomic(const void* object, size_t bytes, Site site);
  void fence_device();  // __threadfence

  // --- Order between threads of a block
  void barrier(std::span<const unsigned> threads);  // these have met; also __syncwarp
  void barrier();                                   // all have met
  void release_to(Clock& clock);                    // what the running thread did is visible to who acquires
  void acquire_from(const Clock& clock);

  // --- cp.async: the running thread's own copies
  void begin_copy(const void* to, size_t bytes, Site site);
  void end_copy(const void* to, size_t bytes);  // waited for

  // --- mbarrier
  void mbarrier_init(const void* object, Site site);
  void fence_mbarrier_init();
  /// Reports an object that is not initialised, or whose initialisation the user cannot see; false then.
  bool mbarrier_use(const void* object, bool by_async_proxy, Site site);

  // --- Async proxy: bulk copies (TMA) and wgmma
  void fence_proxy_async();
  /// A bulk copy, which starts after everything that the running thread has done or acquired. A copy that is waited for
  /// in two steps (bulk store: first its reads, then its writes) is two agents.
  Agent start_copy();
  /// The next wgmma of a warpgroup; started once, by the first thread that issues it.
  Agent start_wgmma(unsigned warpgroup);
  /// What the agent touches; unfinished until a thread has joined it. wgmma: call for one lane of each warp.
  void agent_reads(Agent agent, const void* from, size_t bytes, Site site);
  void agent_writes(Agent agent, const void* to, size_t bytes, Site site);
  void release_to(Agent agent, Clock& clock);  // it completes on an mbarrier
  void join(Agent agent);                      // the running thread has waited for it and the earlier ones of its kind

  // --- wgmma: registers of the running thread
  void wgmma_fence();
  void begin_wgmma(const float* accumulators, size_t bytes, Site site);
  void end_wgmma(const float* accumulators);

  // --- Findings
  /// For what the emulator itself finds. Once per defect and site.
  void report(Defect defect, Site site, const std::string& what);
  /// What is done after an access has been reported that would end the program: it must not return.
  void on_wild_access(std::function<void()> give_up) { give_up_ = std::move(give_up); }
  const std::vector<Finding>& findings() const { return findings_; }
  std::vector<Finding> take_findings();

  /// Null outside kernels.
  static Checker* running();
  /// An access of `kBytes` bytes (a power of two, at most 16) at code address `code`.
  template <bool kWrite, size_t kBytes>
  void access(const void* p, const void* code);
  /// Any other, which the compiler knows to be unaligned.
  void access_unaligned(const void* p, size_t bytes, bool is_write, const void* code);

 private:
  enum class Space : uint8_t { shared, global };
  /// One access of one actor.
  struct Access {
    Record self;  // who, when, where; all bytes
    bool is_write = false, is_atomic = false;
    bool is_compiled = false;  // by the compiler, so aligned as the type demands; otherwise by an instruction's model
    const char* verb = "";
  };
  struct Accumulator {
    const std::byte* data;
    size_t bytes;
    int unfinished;  // wgmma that add to it
  };
  /// What a thread knew when it executed a fence.
  struct Knowledge {
    uint32_t block_first = 0, thread = 0, clock = 0, floor = 0;
    Clock known;
    bool covers(uint32_t actor, uint32_t clock) const;
  };
  struct Thread {
    uint32_t clock = 0;
    uint32_t proxy_fence = 0, mbarrier_fence = 0;  // clock of the last one
    Knowledge at_proxy_fence;
    std::shared_ptr<const Knowledge> at_device_fence;
    bool is_wgmma_fenced = false;
    std::vector<Accumulator> accumulators;
  };
  struct Region : Shadow {
    size_t reserved_bytes = 0;
  };
  struct Mbarrier {
    uint32_t thread, clock;  // of its initialisation
  };

  // checker.cpp
  void advance();  // the running thread's past is released: what follows has a later clock
  void refresh();  // self_ of the running thread
  void watch_stack();
  uint32_t* known_by(unsigned thread) { return known_.data() + size_t{thread} * kClockEntries; }
  size_t clock_entries() const { return kAgents + threads_in_block_; }
  Knowledge knowledge() const;
  void forget_history();

  // checker_access.cpp
  template <bool kWrite, size_t kBytes>
  bool touch(const std::byte* p, Record self);
  void check(const void* p, size_t bytes, const Access& access);
  void check_shared(const std::byte* p, size_t bytes, const Access& access);
  void check_global(Region& region, const std::byte* p, size_t bytes, const Access& access);
  void check_private(const std::byte* p, size_t bytes, const Access& access);
  void check_cells(Space space, Shadow& shadow, const std::byte* p, size_t bytes, const Access& access);
  bool check_cell(Space space, Shadow& shadow, size_t cell, Record self, const Access& access);
  void record_read(Space space, Shadow& shadow, size_t cell, Record self);
  bool is_ordered(Space space, Record before) const;
  bool is_proxy_fenced(Record write) const;
  bool has_value(Space space, Record write) const;
  bool is_in_shared(const std::byte* p, size_t bytes);
  Region* region_of(const void* p);
  template <class Change>
  void for_cells_of(const void* block, size_t bytes, Change change);
  void check_accumulators(const std::byte* p, size_t bytes, const Access& access);

  // findings.cpp
  uint32_t place_of_site(Site site);
  static uint32_t place_of_code(const void* code);
  bool is_of_kernel(uint32_t place);
  std::string describe_place(uint32_t place) const;
  std::string describe_actor(Record record) const;
  std::string describe_address(const std::byte* p) const;
  std::string describe_running_block() const;
  bool is_new(Defect defect, uint32_t place);
  void add_finding(Defect defect, uint32_t place, const std::string& what);
  void report_access(Defect defect, const Access& access, const std::function<std::string()>& what);
  void report_conflict(Space space, Record before, bool was_write, const Access& access, const std::byte* p);

  static constexpr uint32_t kFirstSite = 1U << 25;  // places from here on are in sites_
  static constexpr uint32_t kCopyAgents = 64, kWarpgroups = 8, kAgents = kCopyAgents + kWarpgroups;
  static constexpr size_t kClockEntries = kAgents + kThreads;

  // Of the running thread and block: what access() reads.
  Record self_ = 0;
  Record block_first_ = 0, floor_ = 0, launch_first_ = 0;  // at_clock of the start of block, barrier, launch
  const std::byte* object_ = nullptr;                      // the shared object that was touched last
  size_t object_bytes_ = 0;
  Shadow shared_;
  Region* region_ = nullptr;  // the device region that was touched last
  Thread* thread_ = nullptr;
  const std::byte *stack_low_ = nullptr, *stack_high_ = nullptr;
  size_t unwatched_stack_bytes_ = 0;  // from stack_low_; none where the thread's accumulators are watched

  std::vector<std::unique_ptr<Region>> regions_;
  std::map<const std::byte*, size_t> allocations_;
  std::span<const std::byte> parameters_;

  uint32_t last_clock_ = kFirstClock, last_agent_clock_ = kAgentClock;
  uint32_t agent_block_first_ = 0, agent_launch_first_ = 0;
  unsigned thread_index_ = 0, threads_in_block_ = 0, next_copy_ = 0;
  int64_t pending_cells_ = 0;
  bool has_agents_ = false;
  BlockIndex block_;
  std::vector<std::span<const std::byte>> objects_;  // of the block's shared memory
  std::vector<Thread> threads_;
  std::vector<uint32_t> known_;  // [kThreads][kClockEntries]
  std::unordered_map<const void*, Mbarrier> mbarriers_;

  // Order between blocks of a launch
  std::vector<std::pair<uint32_t, BlockIndex>> blocks_;  // first clock of each, ascending
  bool has_device_fences_ = false;
  std::map<uint32_t, std::shared_ptr<const Knowledge>> acquired_;  // by first clock of the block
  std::unordered_map<const void*, std::map<uint32_t, std::shared_ptr<const Knowledge>>> released_;

  std::function<void()> give_up_;
  std::vector<Site> sites_;
  std::map<std::pair<const char*, int>, uint32_t> site_places_;
  struct RecentSite {
    Site site{nullptr, 0};
    uint32_t place = 0;
  };
  std::array<RecentSite, 64> recent_sites_;  // by line
  std::unordered_map<uint32_t, bool> is_of_kernel_;
  std::map<std::pair<Defect, uint32_t>, size_t> found_;  // (defect, place) -> index into findings_
  std::vector<Finding> findings_;
};

}  // namespace unet::kernels::emulated
