#include "kernels/emulated/checker.h"

#include <algorithm>

#include "kernels/emulated/checker_access.h"

namespace unet::kernels::emulated {

constinit thread_local Checker* t_running_checker = nullptr;

namespace {

/// Clocks that a block may use before they would reach those of agents.
constexpr uint32_t kClocksPerBlock = 1U << 20;

void take_maximum(uint32_t* into, const uint32_t* from, size_t count) {
  for (size_t i = 0; i < count; ++i) into[i] = std::max(into[i], from[i]);
}

}  // namespace

Checker::Checker() : threads_(kThreads), known_(kThreads * kClockEntries) { shared_.grow(kWindowBytes); }

Checker::~Checker() {
  if (t_running_checker == this) t_running_checker = nullptr;
  shared_.unmap();
  for (const auto& region : regions_) region->unmap();
}

// --- Launches and blocks

void Checker::begin_launch(std::span<const std::byte> parameters) {
  parameters_ = parameters;
  if (last_clock_ > kAgentClock - 2 * kClocksPerBlock || last_agent_clock_ > kPendingClock - 2 * kClocksPerBlock) {
    forget_history();
  }
  launch_first_ = at_clock(++last_clock_);
  agent_launch_first_ = ++last_agent_clock_;
  blocks_.clear();
  acquired_.clear();
  released_.clear();
  has_device_fences_ = false;
  findings_.clear();
  found_.clear();
}

void Checker::end_launch() {
  launch_first_ = at_clock(++last_clock_);
  if (!findings_.empty()) throw KernelDefect(take_findings());
}

void Checker::begin_block(BlockIndex index, unsigned threads, const SharedMemory& shared) {
  if (last_clock_ > kAgentClock - kClocksPerBlock) forget_history();
  block_ = index;
  threads_in_block_ = threads;
  block_first_ = floor_ = at_clock(++last_clock_);
  agent_block_first_ = last_agent_clock_ + 1;
  blocks_.emplace_back(last_clock_, index);
  shared_.base = shared.base;
  objects_.assign(1, {shared.base + shared.dynamic_begin, shared.dynamic_bytes});
  object_ = objects_[0].data();
  object_bytes_ = objects_[0].size();
  mbarriers_.clear();
  acquired_.clear();
  has_agents_ = false;
  next_copy_ = 0;
  for (unsigned i = 0; i < threads; ++i) {
    Thread& thread = threads_[i];
    thread.clock = 0;
    thread.proxy_fence = thread.mbarrier_fence = 0;
    thread.at_proxy_fence.block_first = 0;
    thread.at_device_fence = nullptr;
    thread.is_wgmma_fenced = false;
    thread.accumulators.clear();
  }
  t_running_checker = nullptr;
}

void Checker::end_block() {
  t_running_checker = nullptr;
  thread_ = nullptr;
  if (pending_cells_ != 0) shared_.forget();
  pending_cells_ = 0;
}

void Checker::declare_shared(const void* object, size_t bytes) {
  objects_.emplace_back(static_cast<const std::byte*>(object), bytes);
}

void Checker::resume(unsigned thread, const void* stack_low, const void* stack_high) {
  thread_index_ = thread;
  thread_ = &threads_[thread];
  stack_low_ = static_cast<const std::byte*>(stack_low);
  stack_high_ = static_cast<const std::byte*>(stack_high);
  watch_stack();
  refresh();
  t_running_checker = this;
}

void Checker::watch_stack() {
  unwatched_stack_bytes_ = thread_->accumulators.empty() ? static_cast<size_t>(stack_high_ - stack_low_) : 0;
}

void Checker::refresh() {
  thread_->clock = std::max(thread_->clock, clock_of(floor_));
  self_ = record_of(thread_->clock, thread_index_);
}

void Checker::advance() {
  ++thread_->clock;
  last_clock_ = std::max(last_clock_, thread_->clock);
  refresh();
}

// --- Order between threads of a block

void Checker::barrier(std::span<const unsigned> threads) {
  Clock joined(clock_entries());
  for (const unsigned t : threads) {
    take_maximum(joined.data(), known_by(t), joined.size());
    joined[kAgents + t] = std::max(threads_[t].clock, clock_of(floor_));
  }
  for (const unsigned t : threads) {
    std::copy(joined.begin(), joined.end(), known_by(t));
    threads_[t].clock = joined[kAgents + t] + 1;
    last_clock_ = std::max(last_clock_, threads_[t].clock);
  }
  refresh();
}

void Checker::barrier() {
  if (has_agents_) {
    Clock joined(kAgents);
    for (unsigned t = 0; t < threads_in_block_; ++t) take_maximum(joined.data(), known_by(t), kAgents);
    for (unsigned t = 0; t < threads_in_block_; ++t) std::copy(joined.begin(), joined.end(), known_by(t));
  }
  floor_ = at_clock(++last_clock_);
  refresh();
}

void Checker::release_to(Clock& clock) {
  clock.resize(clock_entries());
  take_maximum(clock.data(), known_by(thread_index_), clock.size());
  clock[kAgents + thread_index_] = thread_->clock;
  advance();
}

void Checker::acquire_from(const Clock& clock) { take_maximum(known_by(thread_index_), clock.data(), clock.size()); }

// --- Order between blocks

Checker::Knowledge Checker::knowledge() const {
  const uint32_t* known = known_.data() + size_t{thread_index_} * kClockEntries;
  return {.block_first = clock_of(block_first_),
          .thread = thread_index_,
          .clock = thread_->clock,
          .floor = clock_of(floor_),
          .known = Clock(known, known + clock_entries())};
}

bool Checker::Knowledge::covers(uint32_t actor, uint32_t at) const {
  if (actor >= kThreads) return known[actor - kThreads] >= at;
  return at < floor || (actor == thread ? clock : known[kAgents + actor]) >= at;
}

void Checker::fence_device() {
  has_device_fences_ = true;
  thread_->at_device_fence = std::make_shared<Knowledge>(knowledge());
  advance();
}

void Checker::atomic(const void* object, size_t bytes, Site site) {
  if (has_device_fences_) {
    auto& released = released_[object];
    for (const auto& [block, knowledge] : released) acquired_[block] = knowledge;
    if (thread_->at_device_fence != nullptr) {
      released.insert(acquired_.begin(), acquired_.end());
      released[clock_of(block_first_)] = thread_->at_device_fence;
    }
  }
  check(object, bytes,
        {.self = self_ | kAtomic | place_of_site(site), .is_write = true, .is_atomic = true, .verb = "updates"});
}

// --- cp.async

void Checker::begin_copy(const void* to, size_t bytes, Site site) {
  const Record pending = record_of(kPendingClock, thread_index_) | place_of_site(site);
  if (bytes != 16 || !touch<true, 16>(static_cast<const std::byte*>(to), pending)) {
    check(to, bytes, {.self = pending, .is_write = true, .verb = "copies to"});
  }
  pending_cells_ += static_cast<int64_t>(bytes / 2);
}

void Checker::end_copy(const void* to, size_t bytes) {
  const size_t first = shared_.cell_of(to);
  for (size_t cell = first; cell < first + bytes / 2; ++cell) {
    Record& write = shared_.writes[cell];
    if (is_pending(write) && actor_of(write) == thread_index_) write = self_ | place_of(write);
  }
  pending_cells_ -= static_cast<int64_t>(bytes / 2);
}

// --- mbarrier

void Checker::mbarrier_init(const void* object, Site site) {
  write(object, 8, site);
  mbarriers_[object] = {thread_index_, thread_->clock};
  advance();
}

void Checker::fence_mbarrier_init() {
  thread_->mbarrier_fence = thread_->clock;
  advance();
}

bool Checker::mbarrier_use(const void* object, bool by_async_proxy, Site site) {
  const auto found = mbarriers_.find(object);
  if (found == mbarriers_.end()) {
    report(Defect::mbarrier_uninitialised, site, "uses an mbarrier that was not initialised");
    return false;
  }
  const auto [thread, clock] = found->second;
  if (!is_ordered(Space::shared, record_of(clock, thread))) {
    report(Defect::mbarrier_unfenced, site,
           concat("uses an mbarrier that thread ", thread, " initialised, without a barrier in between"));
  } else if (by_async_proxy && std::max(threads_[thread].mbarrier_fence, threads_[thread].proxy_fence) < clock) {
    report(
        Defect::mbarrier_unfenced, site,
        concat("lets the async proxy use an mbarrier that thread ", thread, " did not fence after its initialisation"));
  }
  return true;
}

// --- Async proxy

void Checker::fence_proxy_async() {
  thread_->proxy_fence = thread_->clock;
  thread_->at_proxy_fence = knowledge();
  advance();
}

Agent Checker::start_copy() {
  has_agents_ = true;
  return {next_copy_++ % kCopyAgents, ++last_agent_clock_};
}

Agent Checker::start_wgmma(unsigned warpgroup) {
  has_agents_ = true;
  return {kCopyAgents + warpgroup, ++last_agent_clock_};
}

void Checker::agent_reads(Agent agent, const void* from, size_t bytes, Site site) {
  const Record self = record_of(agent.clock, kThreads + agent.id);
  check(from, bytes, {.self = self | place_of_site(site), .verb = "reads"});
}

void Checker::agent_writes(Agent agent, const void* to, size_t bytes, Site site) {
  const Record self = record_of(agent.clock, kThreads + agent.id);
  check(to, bytes, {.self = self | place_of_site(site), .is_write = true, .verb = "copies to"});
}

void Checker::release_to(Agent agent, Clock& clock) {
  clock.resize(clock_entries());
  clock[agent.id] = std::max(clock[agent.id], agent.clock);
}

void Checker::join(Agent agent) {
  uint32_t& known = known_by(thread_index_)[agent.id];
  known = std::max(known, agent.clock);
}

// --- wgmma: registers

void Checker::wgmma_fence() { thread_->is_wgmma_fenced = true; }

void Checker::begin_wgmma(const float* accumulators, size_t bytes, Site site) {
  if (!thread_->is_wgmma_fenced) {
    report(Defect::missing_wgmma_fence, site, "starts a wgmma after its registers were touched, without wgmma.fence");
  }
  const auto* const data = reinterpret_cast<const std::byte*>(accumulators);
  for (Accumulator& known : thread_->accumulators) {
    if (known.data == data) {
      ++known.unfinished;
      return;
    }
  }
  thread_->accumulators.push_back({data, bytes, 1});
  watch_stack();
}

void Checker::end_wgmma(const float* accumulators) {
  const auto* const data = reinterpret_cast<const std::byte*>(accumulators);
  for (Accumulator& known : thread_->accumulators) {
    if (known.data == data) --known.unfinished;
  }
}

}  // namespace unet::kernels::emulated
