#include "engine/arena.h"

#include <cstring>
#include <random>
#include <vector>

#include "tests/catch.h"

using unet::OutOfMemory;
using unet::engine::Arena;

TEST_CASE("arena: blocks are aligned, disjoint and given back whole") {
  Arena arena;
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
  Arena arena;
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
  Arena arena;
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
  Arena arena;
  CHECK_THROWS_AS(arena.allocate(SIZE_MAX), OutOfMemory);
  CHECK_THROWS_AS(arena.allocate(SIZE_MAX / 2), OutOfMemory);
  arena.release(arena.allocate(100));
  CHECK(arena.bytes_in_use() == 0);
}

TEST_CASE("arena: fault injection fails the k-th allocation, once or for ever") {
  Arena arena;
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
  Arena arena;
  void* low = arena.allocate(1 << 20);
  arena.release(arena.allocate(64 << 20));
  arena.trim();
  auto* again = static_cast<char*>(arena.allocate(64 << 20));
  again[0] = 1, again[(64 << 20) - 1] = 1;
  arena.release(again);
  arena.release(low);
}
