#include "kernels/fill.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

TEMPLATE_TEST_CASE("fill: sets the view and nothing else", "", float, bf16, uint8_t, int32_t) {
  for (const Target target : kTargets) {
    for (const int64_t c : kChannels) {
      for (const Storage storage : kStorages) {
        const Shape shape{2, 3, 5, c};
        CAPTURE(name_of(target), shape, storage);
        const Buffer<TestType> y(storage, shape);
        Runner{target}(Fill<TestType>{.y = y, .value = TestType(3)});
        require_equal(y.values(), Values(static_cast<size_t>(shape.size()), 3));
        REQUIRE(y.intact());
      }
    }
  }
}

TEST_CASE("fill: f64 on the reference target") {
  const Buffer<double> y(Storage::blocked_crop, {1, 2, 3, 17});
  Runner{Target::reference}(Fill<double>{.y = y, .value = 0.1});
  require_equal(y.values(), Values(102, 0.1));
  REQUIRE(y.intact());
}

TEST_CASE("fill: refuses views without elements") {
  float memory = 0;
  require_refused<ShapeError>(Fill<float>{}, {"fill: y", "expected data"});
  require_refused<ShapeError>(Fill<float>{.y = View<float>::nhwc(&memory, 0, 1, 1, 1)}, {"fill: y", "[0,1,1,1]"});
  require_refused<ShapeError>(Fill<float>{.y = View<float>::nhwc(&memory, 1, -1, 1, 1)}, {"fill: y", "[1,-1,1,1]"});
  require_refused<ShapeError>(Fill<float>{.y = View<float>::nhwc(&memory, 1, 1, 1, 0)}, {"fill: y", "[1,1,1,0]"});
  constexpr int64_t side = int64_t{1} << 21;
  require_refused<ShapeError>(Fill<float>{.y = View<float>::nhwc(&memory, 1, side, side, 1)}, {"fill: y", "2^40"});
  View<float> odd = View<float>::nhwc(&memory, 1, 1, 1, 1);
  odd.block = 0;
  require_refused<TypeError>(Fill<float>{.y = odd}, {"fill: y", "got 0", "[1,1,1,1]"});
}

}  // namespace
}  // namespace unet::kernels::test
