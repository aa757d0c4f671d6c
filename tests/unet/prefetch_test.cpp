#include "unet/prefetch.h"

#include <atomic>

#include "kernels/error.h"
#include "tests/catch.h"
#include "tests/unet/training_support.h"

namespace unet {

TEST_CASE("prefetch: samples are the same with 1, 2 and 4 workers, and those drawn directly") {
  const TrainingConfig config = test::small_config();
  const TrainingSet set = test::small_set(config);
  for (const int workers : {1, 2, 4}) {
    Prefetch<Sample> samples([&](int64_t index) { return draw_sample(set.training, config, index); }, 5, workers,
                             2 * workers + 1);
    for (int64_t index = 5; index < 25; ++index) {
      const Sample made = samples.next(), drawn = draw_sample(set.training, config, index);
      CAPTURE(workers, index);
      REQUIRE(made.image.data == drawn.image.data);
      REQUIRE(made.labels.data == drawn.labels.data);
      REQUIRE(made.weights.data == drawn.weights.data);
    }
  }
}

TEST_CASE("prefetch: no more items are made ahead than asked for, and all that are taken") {
  for (const int workers : {1, 3}) {
    std::atomic<int64_t> started = 0;
    Prefetch<int64_t> items([&](int64_t index) { return started = std::max<int64_t>(started, index), index; }, 0,
                            workers, 4);
    for (int64_t index = 0; index < 200; ++index) {
      REQUIRE(items.next() == index);
      REQUIRE(started.load() <= index + 4);
    }
  }
}

TEST_CASE("prefetch: an error comes out of the item it belongs to") {
  Prefetch<int64_t> items(
      [](int64_t index) {
        if (index == 3) throw DataError("third");
        return index;
      },
      0, 2, 5);
  for (int64_t index = 0; index < 3; ++index) REQUIRE(items.next() == index);
  CHECK_THROWS_WITH(items.next(), "third");
  CHECK(items.next() == 4);
}

}  // namespace unet
