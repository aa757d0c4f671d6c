#include "engine/arena.h"

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/host_state.h"
#include "tests/catch.h"

using unet::OutOfMemory;
using unet::engine::Arena;

namespace {

std::shared_ptr<unet::kernels::TargetState> host() { return std::make_shared<unet::kernels::HostState>(); }

}  // namespace

TEST_CASE("arena: blocks are aligned, disjoint and given back whole") {
  Arena arena(host());
  std::mt19937 random(1);
  struct Block {
    unsigned char* data;
    size_t bytes;
    unsigned char mark;
  };
  std::vector<Block> live;
  size_t expected_in_use = 0;
  for (int round = 0; round < 4000; ++round) {
    if (live.empty() || random() % 3 != 0) {
      const size_t bytes = random() % 20000;
      auto* data = static_cast<unsigned char*>(arena.allocate(bytes));
      REQUIRE(reinterpret_cast<uintptr_t>(data) % 64 == 0);
      const auto mark = static_cast<unsigned char>(round);
      std::memset(data, mark, bytes);
      live.push_back({data, bytes, mark});
      expected_in_use += (std::max<size_t>(bytes, 1) + 63) / 64 * 64;
    } else {
      std::swap(live[random() % live.size()], live.back());
      const Block block = live.back();
      live.pop_back();
      bool intact = true;
      for (size_t i = 0; i < block.bytes; ++i) intact = intact && block.data[i] == block.mark;
      REQUIRE(intact);
      arena.release(block.data);
      expected_in_use -= (std::max<size_t>(block.bytes, 1) + 63) / 64 * 64;
    }
    REQUIRE(arena.bytes_in_use() == expected_in_use);
  }
  for (const Block& block : live) arena.release(block.data);
  REQUIRE(arena.bytes_in_use() == 0);

  // Everything merged again: one block as large as the peak fits without asking the system.
  const int64_t growths = arena.growths();
  void* all = arena.allocate(arena.peak_bytes());
  CHECK(arena.growths() == growths);
  arena.release(all);
}

TEST_CASE("arena: a repeated pattern of allocations asks the system once") {
  Arena arena(host());
  const auto step = [&] {
    void* a = arena.allocate(5 << 20);
    void* b = arena.allocate(3 << 20);
    arena.release(a);
    void* c = arena.allocate(4 << 20);
    arena.release(b);
    arena.release(c);
  };
  step();
  const int64_t growths = arena.growths();
  for (int i = 0; i < 10; ++i) step();
  CHECK(arena.growths() == growths);
}

TEST_CASE("arena: the limit holds and names both sizes") {
  Arena arena(host());
  arena.set_limit(1 << 20);
  void* a = arena.allocate(700000);
  try {
    arena.allocate(500000);
    FAIL("no exception");
  } catch (const OutOfMemory& e) {
    CHECK(e.requested_bytes == 500000);
    CHECK(e.limit_bytes == 1 << 20);
    CHECK(std::string(e.what()).find("500000") != std::string::npos);
  }
  CHECK_NOTHROW(arena.release(arena.allocate(300000)));
  arena.release(a);
  CHECK(arena.bytes_in_use() == 0);
}

TEST_CASE("arena: impossible requests throw and leave it usable") {
  Arena arena(host());
  CHECK_THROWS_AS(arena.allocate(SIZE_MAX), OutOfMemory);
  CHECK_THROWS_AS(arena.allocate(SIZE_MAX / 2), OutOfMemory);
  arena.release(arena.allocate(100));
  CHECK(arena.bytes_in_use() == 0);
}

TEST_CASE("arena: fault injection fails the k-th allocation, once or for ever") {
  Arena arena(host());
  arena.fail_at(2);
  void* a = arena.allocate(1);
  CHECK_THROWS_AS(arena.allocate(1), OutOfMemory);
  void* b = arena.allocate(1);
  arena.fail_at(1, true);
  CHECK_THROWS_AS(arena.allocate(1), OutOfMemory);
  CHECK_THROWS_AS(arena.allocate(1), OutOfMemory);
  arena.fail_at(0);
  arena.release(a);
  arena.release(b);
  CHECK(arena.bytes_in_use() == 0);
}

TEST_CASE("arena: trim gives the top back and memory can be had again") {
  Arena arena(host());
  void* low = arena.allocate(1 << 20);
  arena.release(arena.allocate(64 << 20));
  arena.trim();
  auto* again = static_cast<char*>(arena.allocate(64 << 20));
  again[0] = 1, again[(64 << 20) - 1] = 1;
  arena.release(again);
  arena.release(low);
}

TEST_CASE("arena: memory handed out while watched can be held, and is then nobody else's") {
  Arena arena(host());
  void* before = arena.allocate(1000);
  arena.release(arena.allocate(5000));
  arena.watch();
  void* a = arena.allocate(3000);
  void* kept = arena.allocate(700);
  arena.release(a);
  void* inside = arena.allocate(2900);
  arena.release(inside);
  const size_t in_use = arena.bytes_in_use();
  const std::vector<void*> held = arena.hold_watched();
  REQUIRE(held.size() == 1);
  CHECK(held[0] == a);
  CHECK(arena.bytes_in_use() == in_use + 3008);

  void* other = arena.allocate(2000);  // would have gone where a was
  CHECK((other < a || static_cast<char*>(other) >= static_cast<char*>(a) + 3008));
  arena.release(held[0]);
  CHECK(arena.allocate(2900) == a);
  for (void* block : {a, other, kept, before}) arena.release(block);
  CHECK(arena.bytes_in_use() == 0);
}

TEST_CASE("arena: the target is told of every block, and asked for memory in its own steps") {
  class Space final : public unet::kernels::AddressSpace {
   public:
    explicit Space(std::vector<std::string>& log) : log_(log) {}
    char* base() const override { return const_cast<char*>(memory_.data()); }
    size_t size() const override { return memory_.size(); }
    size_t granularity() const override { return 1024; }
    bool commit(size_t from, size_t to) noexcept override {
      log_.push_back(unet::concat("commit ", from, " ", to));
      return to <= 3072;
    }
    void decommit(size_t from, size_t to) noexcept override {
      log_.push_back(unet::concat("decommit ", from, " ", to));
    }
    void on_allocate(void* block, size_t bytes) noexcept override { told("allocate", block, bytes); }
    void on_release(void* block, size_t bytes) noexcept override { told("release", block, bytes); }

   private:
    void told(const char* what, void* block, size_t bytes) {
      log_.push_back(unet::concat(what, " ", static_cast<char*>(block) - memory_.data(), " ", bytes));
    }
    std::vector<std::string>& log_;
    std::vector<char> memory_ = std::vector<char>(4096);
  };
  struct State final : unet::kernels::HostState {
    std::unique_ptr<unet::kernels::AddressSpace> reserve(size_t) override { return std::make_unique<Space>(log); }
    std::vector<std::string> log;
  };
  const auto state = std::make_shared<State>();
  Arena arena(state);
  void* a = arena.allocate(100);
  void* b = arena.allocate(1500);
  CHECK_THROWS_AS(arena.allocate(2000), OutOfMemory);
  arena.release(b);
  arena.trim();
  arena.release(a);
  CHECK(state->log == std::vector<std::string>{"commit 0 1024", "allocate 0 100", "commit 1024 2048",
                                               "allocate 128 1500", "commit 2048 4096", "release 128 1536",
                                               "decommit 1024 2048", "release 0 128"});
}
