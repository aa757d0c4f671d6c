#include "kernels/emulated/mbarrier.h"

#include <bit>

#include "kernels/emulated/models.h"
#include "kernels/emulated/scheduler.h"

namespace unet::kernels::emulated {
namespace {

constexpr unsigned kMaxCount = (1U << 20) - 1;

/// The 8 bytes, which PTX leaves opaque.
struct Word {
  uint64_t parity : 1;     // of the phase that is going on
  uint64_t arrivals : 20;  // expected in every phase
  uint64_t pending : 20;   // still expected in this one
  int64_t bytes : 23;      // announced but not there yet; negative where copies are ahead of their announcement
};
static_assert(sizeof(Word) == sizeof(uint64_t));

Word load(const uint64_t* barrier) { return std::bit_cast<Word>(*barrier); }
void store(uint64_t* barrier, Word word) { *barrier = std::bit_cast<uint64_t>(word); }

}  // namespace

void Mbarriers::init(Multiprocessor& sm, uint64_t* barrier, unsigned arrivals, Site site) {
  if (!sm.shared.contains(barrier, 8) || reinterpret_cast<uintptr_t>(barrier) % 8 != 0) {
    sm.abandon(Defect::bad_operand, site, "mbarrier: expected 8 bytes of shared memory, aligned to 8");
  }
  if (arrivals == 0 || arrivals > kMaxCount) {
    sm.abandon(Defect::bad_operand, site, concat("mbarrier: expected 1 to ", kMaxCount, " arrivals, got ", arrivals));
  }
  sm.checker.mbarrier_init(barrier, site);
  Word word{};
  word.arrivals = word.pending = arrivals;
  store(barrier, word);
  objects_[barrier] = Object{};
}

void Mbarriers::require_usable(Multiprocessor& sm, uint64_t* barrier, bool by_async_proxy, const char* instruction,
                               Site site) {
  const bool known = sm.checker.mbarrier_use(barrier, by_async_proxy, site) && objects_.count(barrier) != 0;
  if (!known) sm.abandon(Defect::mbarrier_uninitialised, site, concat(instruction, ": there is no mbarrier here"));
}

void Mbarriers::end_phase_if_complete(Multiprocessor& sm, uint64_t* barrier, Object& object) {
  Word word = load(barrier);
  if (word.pending != 0 || word.bytes != 0) return;
  object.released[word.parity] = object.arrived;
  ++object.phases;
  word.parity ^= 1;
  word.pending = word.arrivals;
  store(barrier, word);
  for (const Thread* thread : object.waiting) sm.wake(thread->linear);
  object.waiting.clear();
}

void Mbarriers::arrive(Multiprocessor& sm, uint64_t* barrier, unsigned expected_bytes, Site site) {
  require_usable(sm, barrier, false, "mbarrier arrive", site);
  Object& object = objects_[barrier];
  Word word = load(barrier);
  if (word.pending == 0) {
    sm.abandon(
        Defect::mbarrier_arrivals, site,
        concat("mbarrier arrive: more arrivals than the ", word.arrivals, " that end a phase; ", describe(barrier)));
  }
  if (expected_bytes > kMaxCount || word.bytes + int64_t{expected_bytes} > int64_t{kMaxCount}) {
    sm.abandon(Defect::mbarrier_arrivals, site,
               concat("mbarrier arrive: expected at most ", kMaxCount, " bytes a phase"));
  }
  word.bytes += static_cast<int>(expected_bytes);
  word.pending -= 1;
  store(barrier, word);
  sm.checker.release_to(object.arrived);
  end_phase_if_complete(sm, barrier, object);
}

void Mbarriers::wait(Multiprocessor& sm, uint64_t* barrier, unsigned parity, Site site) {
  require_usable(sm, barrier, false, "mbarrier wait", site);
  if (parity > 1) sm.abandon(Defect::bad_operand, site, concat("mbarrier wait: expected parity 0 or 1, got ", parity));
  while (load(barrier).parity == parity) {
    objects_[barrier].waiting.push_back(&sm.running());
    sm.running().mbarrier = barrier;
    sm.wait("an mbarrier", site);
    sm.running().mbarrier = nullptr;
  }
  sm.checker.acquire_from(objects_[barrier].released[parity]);
}

void Mbarriers::complete_bytes(Multiprocessor& sm, uint64_t* barrier, unsigned bytes, Agent copy) {
  Object& object = objects_[barrier];
  Word word = load(barrier);
  word.bytes -= static_cast<int>(bytes);
  store(barrier, word);
  sm.checker.release_to(copy, object.arrived);
  end_phase_if_complete(sm, barrier, object);
}

std::string Mbarriers::describe(const uint64_t* barrier) const {
  const Word word = load(barrier);
  return concat("its phase ", objects_.at(barrier).phases, " lacks ", static_cast<unsigned>(word.pending), " of ",
                static_cast<unsigned>(word.arrivals), " arrivals and ", static_cast<int>(word.bytes), " bytes");
}

void mbarrier_init(uint64_t* barrier, unsigned arrivals, Site site) {
  sm().mbarriers.init(sm(), barrier, arrivals, site);
}
void mbarrier_init_fence() { sm().checker.fence_mbarrier_init(); }
void mbarrier_arrive(uint64_t* barrier, unsigned expected_bytes, Site site) {
  sm().mbarriers.arrive(sm(), barrier, expected_bytes, site);
}
void mbarrier_wait(uint64_t* barrier, unsigned parity, Site site) { sm().mbarriers.wait(sm(), barrier, parity, site); }
void fence_proxy_async() { sm().checker.fence_proxy_async(); }

}  // namespace unet::kernels::emulated
