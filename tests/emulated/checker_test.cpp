// The checker by itself, fed by hand: what kernels would take long to reach.
#include "kernels/emulated/checker.h"

#include <array>

#include "tests/catch.h"

namespace unet::kernels::emulated {
namespace {

constexpr Site kHere{"kernel.cu", 7}, kThere{"kernel.cu", 9};

/// A device of 4 KB and a block of two threads, which take turns.
class Fixture {
 public:
  Fixture() {
    checker.add_region(memory.data(), memory.size());
    start();
  }

  void start() {
    checker.begin_launch({});
    checker.begin_block({3, 2, 1}, 2, {window.data(), 1024, 256});
    thread(0);
  }
  void thread(unsigned index) { checker.resume(index, stack.data(), stack.data() + stack.size()); }
  void finish() {
    checker.end_block();
    checker.end_launch();
  }

  Checker checker;
  alignas(64) std::array<std::byte, 4096> memory{};
  alignas(64) std::array<std::byte, Checker::kWindowBytes> window{};
  std::array<std::byte, 256> stack{};
};

void require_one(const std::vector<Finding>& findings, Defect defect) {
  REQUIRE(findings.size() == 1);
  INFO(findings[0].text);
  REQUIRE(findings[0].defect == defect);
}

TEST_CASE("a finding names the line, both parties and the place, and counts the same again", "[checker]") {
  const auto fixture = std::make_unique<Fixture>();
  Checker& checker = fixture->checker;
  checker.allocate(fixture->memory.data() + 64, 100);
  checker.write(fixture->memory.data() + 72, 4, kHere);
  fixture->thread(1);
  for (int i = 0; i < 3; ++i) checker.write(fixture->memory.data() + 72, 4, kThere);
  require_one(checker.findings(), Defect::global_race);
  CHECK(checker.findings()[0].text ==
        "kernel.cu:9: global_race: thread 1 of block 3,2,1 writes byte 8 of an allocation of 100 bytes, which thread 0 "
        "wrote at kernel.cu:7 in no order with it");
  // The second and third time it is the thread's own.
  CHECK(checker.findings()[0].count == 1);
  fixture->thread(0);
  checker.write(fixture->memory.data() + 72, 4, kThere);
  CHECK(checker.findings()[0].count == 2);
  CHECK_THROWS_AS(fixture->finish(), KernelDefect);
  fixture->start();
  CHECK_NOTHROW(fixture->finish());  // said once
}

TEST_CASE("allocations may begin and end at any byte", "[checker]") {
  const auto fixture = std::make_unique<Fixture>();
  Checker& checker = fixture->checker;
  const std::byte* const begin = fixture->memory.data() + 65;
  checker.allocate(begin, 7);
  for (int i = 0; i < 7; ++i) checker.write(begin + i, 1, kHere);
  for (int i = 0; i < 7; ++i) checker.read(begin + i, 1, kHere);
  REQUIRE(checker.findings().empty());
  for (const std::byte* const outside : {begin - 1, begin + 7}) {
    checker.write(outside, 1, kHere);
    require_one(checker.take_findings(), Defect::out_of_bounds_global);
  }
  checker.release(begin, 7);
  checker.read(begin + 3, 1, kHere);
  require_one(checker.take_findings(), Defect::freed_memory);
}

TEST_CASE("neighbouring bytes are no race, the same byte is", "[checker]") {
  const auto fixture = std::make_unique<Fixture>();
  Checker& checker = fixture->checker;
  checker.allocate(fixture->memory.data(), 16);
  checker.write(fixture->memory.data(), 1, kHere);
  fixture->thread(1);
  checker.write(fixture->memory.data() + 1, 1, kHere);
  REQUIRE(checker.findings().empty());
  fixture->thread(0);
  checker.read(fixture->memory.data() + 1, 1, kThere);
  require_one(checker.findings(), Defect::global_race);
}

TEST_CASE("a barrier orders the threads that meet in it, and no others", "[checker]") {
  const auto fixture = std::make_unique<Fixture>();
  Checker& checker = fixture->checker;
  std::byte* const shared = fixture->window.data() + 1024;
  checker.write(shared, 4, kHere);
  const std::array<unsigned, 1> alone{0};
  checker.barrier(alone);
  fixture->thread(1);
  checker.read(shared, 4, kHere);
  require_one(checker.take_findings(), Defect::shared_race);
  const std::array<unsigned, 2> both{0, 1};
  checker.barrier(both);
  checker.write(shared, 4, kHere);
  checker.barrier();
  fixture->thread(0);
  checker.read(shared, 4, kHere);
  CHECK(checker.findings().empty());
}

TEST_CASE("what a thread releases is ordered before who acquires it, later things are not", "[checker]") {
  const auto fixture = std::make_unique<Fixture>();
  Checker& checker = fixture->checker;
  std::byte* const shared = fixture->window.data() + 1024;
  Clock clock;
  checker.write(shared, 4, kHere);
  checker.release_to(clock);
  checker.write(shared + 4, 4, kHere);
  fixture->thread(1);
  checker.acquire_from(clock);
  checker.read(shared, 4, kHere);
  REQUIRE(checker.findings().empty());
  checker.read(shared + 4, 4, kHere);
  require_one(checker.findings(), Defect::shared_race);
}

TEST_CASE("shared memory holds nothing of the block before", "[checker]") {
  const auto fixture = std::make_unique<Fixture>();
  Checker& checker = fixture->checker;
  std::byte* const shared = fixture->window.data() + 1024;
  checker.begin_copy(shared, 16, kHere);  // left unfinished
  checker.write(shared + 16, 16, kHere);
  fixture->finish();
  fixture->start();
  checker.read(shared, 16, kHere);
  require_one(checker.take_findings(), Defect::uninitialised_shared);
  checker.read(shared + 16, 16, kHere);
  require_one(checker.take_findings(), Defect::uninitialised_shared);
  checker.write(shared, 16, kHere);
  CHECK(checker.findings().empty());
}

TEST_CASE("clocks that run out forget the past and nothing else", "[checker]") {
  const auto fixture = std::make_unique<Fixture>();
  Checker& checker = fixture->checker;
  const std::byte* const memory = fixture->memory.data();
  checker.allocate(memory, 64);
  checker.write(memory, 4, kHere);
  fixture->finish();
  for (uint32_t i = 0; i < kAgentClock / 2; ++i) {  // two clocks each
    checker.begin_launch({});
    checker.end_launch();
  }
  fixture->start();
  checker.read(memory, 4, kHere);
  checker.write(memory, 4, kHere);
  REQUIRE(checker.findings().empty());
  fixture->thread(1);
  checker.read(memory, 4, kThere);
  require_one(checker.take_findings(), Defect::global_race);
  checker.read(memory + 8, 4, kThere);
  require_one(checker.take_findings(), Defect::uninitialised_global);
}

}  // namespace
}  // namespace unet::kernels::emulated
