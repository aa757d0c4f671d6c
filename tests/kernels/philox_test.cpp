#include "kernels/philox.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

TEST_CASE("philox: known answers of Random123") {
  // kat_vectors of Random123, philox 4x32 with 10 rounds: four words of counter, two of key, four of result.
  struct KnownAnswer {
    uint32_t counter[4], key[2], word[4];
  };
  constexpr KnownAnswer answers[]{{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
                                  {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
                                   {0xffffffff, 0xffffffff},
                                   {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
                                  {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                                   {0xa4093822, 0x299f31d0},
                                   {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (const auto& [counter, key, word] : answers) {
    const PhiloxKey stream{.seed = uint64_t{key[1]} << 32 | key[0], .purpose = counter[2], .step = counter[3]};
    const PhiloxBlock block = philox(stream, uint64_t{counter[1]} << 32 | counter[0]);
    for (int i = 0; i < 4; ++i) REQUIRE(block.word[i] == word[i]);
  }
}

TEST_CASE("philox: uniform covers 0 to 1 and never reaches 1") {
  REQUIRE(uniform(0) == 0);
  REQUIRE(uniform(0xff) == 0);
  REQUIRE(uniform(0x80000000) == 0.5F);
  REQUIRE(uniform(0xffffffff) == 1 - 0x1p-24F);
}

TEST_CASE("philox: normal numbers have the moments of N(0,1)") {
  double sum = 0, squares = 0, fourths = 0, products = 0;
  constexpr int kPairs = 100000;
  for (uint64_t i = 0; i < kPairs; ++i) {
    const PhiloxBlock block = philox({.seed = 1, .purpose = 2, .step = 3}, i);
    const auto [a, b] = normal(block.word[0], block.word[1]);
    sum += a + b, squares += a * a + b * b, fourths += a * a * a * a + b * b * b * b, products += a * b;
  }
  constexpr double count = 2 * kPairs;  // standard deviations: 1, sqrt(2), sqrt(96) and 1 over sqrt(count)
  REQUIRE(std::abs(sum / count) < 5 / std::sqrt(count));
  REQUIRE(std::abs(squares / count - 1) < 5 * std::sqrt(2 / count));
  REQUIRE(std::abs(fourths / count - 3) < 5 * std::sqrt(96 / count));
  REQUIRE(std::abs(products / kPairs) < 5 / std::sqrt(kPairs));
}

TEST_CASE("philox: the extreme words give finite normal numbers") {
  for (const uint32_t word : {0U, 1U, 0xffffffffU}) {
    const auto [a, b] = normal(word, word);
    REQUIRE((std::isfinite(a) && std::isfinite(b)));
    REQUIRE(std::abs(a) < 6.7);  // sqrt(2 * 32 * log 2) = 6.66
  }
}

}  // namespace
}  // namespace unet::kernels::test
