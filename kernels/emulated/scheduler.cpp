#include "kernels/emulated/scheduler.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <utility>

namespace unet::kernels::emulated {

constinit thread_local Multiprocessor* active = nullptr;

uint32_t Random::next() {  // xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators"
  state_ ^= state_ >> 12;
  state_ ^= state_ << 25;
  state_ ^= state_ >> 27;
  return static_cast<uint32_t>(state_ * 0x2545F4914F6CDD1DU >> 32);
}

std::string Schedule::name() const {
  constexpr const char* kOrders[] = {"ascending", "descending", "random", "priority"};
  constexpr const char* kCompletions[] = {"eager", "late", "random"};
  return concat(kOrders[static_cast<int>(order)], " order, ", kCompletions[static_cast<int>(completion)],
                " completion, seed ", seed, ", shared memory shifted by ", base_shift);
}

std::string name_of(const Thread& thread) {
  return concat("thread (", thread.index.x, ",", thread.index.y, ",", thread.index.z, ")");
}

Multiprocessor::Multiprocessor(Checker& c) : checker(c) {
  for (Barrier& b : barriers_) b.arrived.reserve(kMaxThreads);
  checker.on_wild_access([this] { give_up(); });
}

// --- Grids and blocks

bool Multiprocessor::check_shape(const Grid& g, const DeviceInfo& device) {
  const auto refuse = [&](const std::string& what) {
    report(Defect::bad_launch, g.site, concat("launch: ", what));
    return false;
  };
  const auto text = [](dim3 d) { return concat(d.x, " x ", d.y, " x ", d.z); };
  if (g.block.count() == 0 || g.block.count() > kMaxThreads || g.block.x > 1024 || g.block.y > 1024 || g.block.z > 64) {
    return refuse(concat("expected a block of 1 to 1024 threads, got ", text(g.block)));
  }
  if (g.grid.x == 0 || g.grid.y == 0 || g.grid.z == 0 || g.grid.x > 0x7fffffffU || g.grid.y > 65535 ||
      g.grid.z > 65535) {
    return refuse(concat("expected a grid of 1 x 1 x 1 to 2147483647 x 65535 x 65535 blocks, got ", text(g.grid)));
  }
  if (g.shared_bytes > device.shared_bytes_per_block) {
    return refuse(
        concat("expected at most ", device.shared_bytes_per_block, " bytes of shared memory, got ", g.shared_bytes));
  }
  return true;
}

void Multiprocessor::execute(const Grid& grid, const Schedule& chosen, const DeviceInfo& device) {
  checker.begin_launch({static_cast<const std::byte*>(grid.arguments), grid.argument_bytes});
  if (check_shape(grid, device)) {
    schedule = chosen;
    random.seed(chosen.seed);
    grid_ = &grid;
    shared_limit_ = device.shared_bytes_per_block;
    active = this;
    abandoned_ = false;
    // A random order visits block (first + i * step) mod count: every block once, as step and count have no factor in
    // common.
    const uint64_t count = grid.grid.count();
    const bool shuffled = chosen.order == Order::random || chosen.order == Order::priority;
    const uint64_t first = shuffled ? random.next() % count : 0;
    uint64_t step = 1;
    if (shuffled) {
      do step = 1 + random.next() % count;
      while (std::gcd(step, count) != 1);
    }
    for (uint64_t i = 0; i < count && !abandoned_; ++i) {
      run_block(chosen.order == Order::descending ? count - 1 - i : (first + i * step) % count);
    }
    active = nullptr;
    if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
  }
  checker.end_launch();
}

void Multiprocessor::run_block(uint64_t linear) {
  const dim3& extent = grid_->block;
  block_ = {static_cast<unsigned>(linear % grid_->grid.x),
            static_cast<unsigned>(linear / grid_->grid.x % grid_->grid.y),
            static_cast<unsigned>(linear / grid_->grid.x / grid_->grid.y)};
  thread_count_ = live_ = static_cast<unsigned>(extent.count());
  if (threads_.size() < thread_count_) threads_ = std::vector<Thread>(thread_count_);
  for (Barrier& b : barriers_) b.arrived.clear();
  for (Warpgroup& w : warpgroups_) w.clear();
  mbarriers.clear();
  loads.clear();
  shared.begin(grid_->shared_bytes, schedule.base_shift);
  checker.begin_block({block_.x, block_.y, block_.z}, thread_count_,
                      {shared.base(), shared.dynamic_offset(), static_cast<uint32_t>(grid_->shared_bytes)});

  uint3 index{};
  for (unsigned i = 0; i < thread_count_; ++i) {
    Thread& t = threads_[i];
    t.index = index;
    t.linear = i;
    t.phase = Thread::Phase::unstarted;
    t.mbarrier = nullptr;
    t.copies.clear();
    t.stores.clear();
    if (++index.x == extent.x) {
      index.x = 0;
      if (++index.y == extent.y) index.y = 0, ++index.z;
    }
  }
  runnable_warps_ = 0;
  for (unsigned w = 0; w * kWarpSize < thread_count_; ++w) {
    const unsigned lanes = thread_count_ - w * kWarpSize;
    warps_[w].present = lanes >= kWarpSize ? ~0U : (1U << lanes) - 1;
    warps_[w].exited = 0;
    warps_[w].meetings.clear();
    runnable_lanes_[w] = warps_[w].present;
    runnable_warps_ |= 1U << w;
    priority_[w] = random.next();
  }
  cursor_ = schedule.order == Order::descending ? 0 : thread_count_ - 1;

  starting_thread_ = pick();
  starting_stack_ = &take_stack();
  main_.start(*starting_stack_, run_threads);
  running_ = nullptr;
  if (abandoned_) {
    free_stacks_.clear();
    for (const auto& stack : stacks_) free_stacks_.push_back(stack.get());
  } else {
    if (!loads.empty()) {
      report(Defect::unfinished_at_exit, loads.oldest(), "TMA load: the block ends without waiting for it");
    }
    check_registers();
  }
  checker.end_block();
}

// A block's registers are shared out equally when it starts, at most 65536 in all: what warpgroups raise their shares
// by, others must have given back, or they wait for ever.
void Multiprocessor::check_registers() {
  constexpr unsigned kRegisters = 65536;
  const unsigned groups = thread_count_ / kWarpgroupSize, share = std::min(kRegisters / thread_count_ / 8 * 8, 255U);
  unsigned taken = 0;
  Site site;
  for (unsigned i = 0; i < groups; ++i) {
    taken += warpgroups_[i].registers == 0 ? share : warpgroups_[i].registers;
    if (warpgroups_[i].registers > share) site = warpgroups_[i].registers_site;
  }
  if (taken > groups * share && site.line != 0) {
    report(Defect::bad_operand, site,
           concat("setmaxnreg: the warpgroups of the block take ", taken, " registers of ", groups * share,
                  " per thread, all together"));
  }
}

Stack& Multiprocessor::take_stack() {
  if (free_stacks_.empty()) {
    stacks_.push_back(std::make_unique<Stack>(stacks_.size()));
    return *stacks_.back();
  }
  Stack* stack = free_stacks_.back();
  free_stacks_.pop_back();
  return *stack;
}

// --- Threads

void Multiprocessor::enter(Thread& t) {
  t.phase = Thread::Phase::running;
  running_ = &t;
  checker.resume(t.linear, t.stack->low(), t.stack->high());
}

void Multiprocessor::run_threads() {
  Multiprocessor& m = *active;
  Stack* const stack = m.starting_stack_;
  Thread* t = m.starting_thread_;
  do {
    t->stack = stack;
    m.enter(*t);
    m.grid_->call(m.grid_->arguments);
    m.leave();
    t = m.pick();
  } while (t != nullptr && t->phase == Thread::Phase::unstarted);
  m.free_stacks_.push_back(stack);
  Fiber ended;
  ended.resume(t != nullptr ? t->fiber : m.main_);
}

void Multiprocessor::leave() {
  Thread& t = *running_;
  t.phase = Thread::Phase::done;
  --live_;
  if (!t.copies.empty()) {
    report(Defect::unfinished_at_exit, t.copies.oldest(), "cp.async: the thread ends without cp_async_wait<0>()");
  }
  if (const Site* site = t.stores.unread()) {
    report(Defect::unfinished_at_exit, *site, "TMA store: the thread ends without tma_store_wait_read<0>()");
  }
  if (const Site* site = warpgroups_[t.linear / kWarpgroupSize].unfinished(t.linear % kWarpgroupSize)) {
    report(Defect::unfinished_at_exit, *site, "wgmma: the thread ends without wgmma_wait<0>()");
  }
  Warp& w = warp();
  w.exited |= 1U << t.lane();
  for (const Meeting& m : w.meetings) {
    if ((m.mask >> t.lane() & 1U) != 0) {
      report(Defect::divergent_collective, m.site, concat(name_of(t), " has ended, which a warp operation waits for"));
    }
  }
  for (const Barrier& b : barriers_) {
    if (!b.arrived.empty() && b.expected == thread_count_) {
      report(Defect::divergent_barrier, b.site,
             concat(name_of(t), " has ended, which a barrier of the block waits for"));
    }
  }
}

void Multiprocessor::wait(const char* in, Site site) {
  Thread& t = *running_;
  t.phase = Thread::Phase::waiting;
  t.waits_in = in;
  t.site = site;
  Thread* next = pick();
  if (next == nullptr) give_up();
  if (next != &t) {
    if (next->phase == Thread::Phase::unstarted) {
      starting_thread_ = next;
      try {
        starting_stack_ = &take_stack();
      } catch (...) {  // goes on in execute(): a fiber has no caller
        error_ = std::current_exception();
      }
      if (error_ != nullptr) give_up();
      t.fiber.start(*starting_stack_, run_threads);
    } else {
      t.fiber.resume(next->fiber);
    }
  }
  enter(t);
}

void Multiprocessor::wake(unsigned linear) {
  threads_[linear].phase = Thread::Phase::ready;
  runnable_lanes_[linear / kWarpSize] |= 1U << linear % kWarpSize;
  runnable_warps_ |= 1U << linear / kWarpSize;
}

bool Multiprocessor::completes_now() {
  return schedule.completion == Completion::eager ||
         (schedule.completion == Completion::random && random.next() % 2 == 0);
}

void Multiprocessor::abandon(Defect defect, Site site, const std::string& what) {
  report(defect, site, what);
  give_up();
}

// The frames of the block's threads are left as they are: device code has nothing to destroy.
void Multiprocessor::give_up() {
  abandoned_ = true;
  Fiber abandoned;
  abandoned.resume(main_);
  __builtin_unreachable();
}

// --- Order

namespace {

/// The lowest set bit above `from`, or the lowest of all.
unsigned next_bit(unsigned bits, unsigned from) {
  const unsigned above = from >= 31 ? 0 : bits & (~0U << (from + 1));
  return static_cast<unsigned>(std::countr_zero(above != 0 ? above : bits));
}

/// The highest set bit below `from`, or the highest of all.
unsigned previous_bit(unsigned bits, unsigned from) {
  const unsigned below = bits & ((1U << from) - 1);
  return 31 - static_cast<unsigned>(std::countl_zero(below != 0 ? below : bits));
}

}  // namespace

// The thread to run next; null where all have ended or none can go on, which is reported.
Thread* Multiprocessor::pick() {
  if (schedule.completion == Completion::random && !loads.empty() && random.below(4) == 0) loads.finish_one(*this);
  while (runnable_warps_ == 0) {
    if (live_ == 0) return nullptr;
    if (loads.empty()) {
      report_deadlock();
      abandoned_ = true;
      return nullptr;
    }
    loads.finish_one(*this);
  }
  unsigned warp = 0, lane = 0;
  const unsigned here = cursor_ / kWarpSize, at = cursor_ % kWarpSize;
  switch (schedule.order) {
    case Order::ascending: {
      const unsigned rest = at == 31 ? 0 : runnable_lanes_[here] & (~0U << (at + 1));
      warp = rest != 0 ? here : next_bit(runnable_warps_, here);
      lane = static_cast<unsigned>(std::countr_zero(rest != 0 ? rest : runnable_lanes_[warp]));
      break;
    }
    case Order::descending: {
      const unsigned rest = runnable_lanes_[here] & ((1U << at) - 1);
      warp = rest != 0 ? here : previous_bit(runnable_warps_, here);
      lane = 31 - static_cast<unsigned>(std::countl_zero(rest != 0 ? rest : runnable_lanes_[warp]));
      break;
    }
    case Order::random:
      warp = next_bit(runnable_warps_, random.below(kMaxWarps));
      lane = next_bit(runnable_lanes_[warp], random.below(kWarpSize));
      break;
    case Order::priority:
      warp = pick_warp();
      lane = next_bit(runnable_lanes_[warp], random.below(kWarpSize));
      break;
  }
  runnable_lanes_[warp] &= ~(1U << lane);
  if (runnable_lanes_[warp] == 0) runnable_warps_ &= ~(1U << warp);
  cursor_ = warp * kWarpSize + lane;
  return &threads_[cursor_];
}

// Random priorities that change at random points: Burckhardt et al., "A randomized scheduler with probabilistic
// guarantees of finding bugs", ASPLOS 2010.
unsigned Multiprocessor::pick_warp() {
  if (random.below(64) == 0) priority_[random.below((thread_count_ + kWarpSize - 1) / kWarpSize)] = random.next();
  unsigned best = static_cast<unsigned>(std::countr_zero(runnable_warps_));
  for (unsigned rest = runnable_warps_; rest != 0; rest &= rest - 1) {
    const auto warp = static_cast<unsigned>(std::countr_zero(rest));
    if (priority_[warp] > priority_[best]) best = warp;
  }
  return best;
}

void Multiprocessor::report_deadlock() {
  struct Group {
    const Thread* first = nullptr;
    int threads = 0;
  };
  std::map<std::pair<std::string, int>, Group> groups;  // by what they wait in, and where
  for (unsigned i = 0; i < thread_count_; ++i) {
    const Thread& t = threads_[i];
    if (t.phase != Thread::Phase::waiting) continue;
    Group& group = groups[{t.waits_in, t.site.line}];
    if (group.threads++ == 0) group.first = &t;
  }
  for (const auto& [key, group] : groups) {
    const uint64_t* const mbarrier = group.first->mbarrier;
    report(
        Defect::deadlock, group.first->site,
        concat(group.threads, " of ", thread_count_, " threads, ", name_of(*group.first), " first, wait for ever in ",
               key.first, mbarrier != nullptr ? "; " : "", mbarrier != nullptr ? mbarriers.describe(mbarrier) : ""));
  }
}

}  // namespace unet::kernels::emulated
