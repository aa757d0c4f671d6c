#include "kernels/relu.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

TEMPLATE_TEST_CASE("relu: keeps what is positive, in every mix of layouts", "", float, bf16) {
  for (const Target target : kTargets) {
    for (const int64_t c : kChannels) {
      const Shape shape{2, 3, 5, c};
      const Values x = integers(shape, 1, -4, 4), dy = integers(shape, 2, -9, 9);
      const Values y = mapped(x, [](double v) { return v > 0 ? v : 0; });
      Values dx = dy;
      for (size_t i = 0; i < dx.size(); ++i) dx[i] = x[i] > 0 ? dy[i] : 0;

      for (const Storage x_storage : kStorages) {
        for (const Storage y_storage : kStorages) {
          CAPTURE(name_of(target), shape, x_storage, y_storage);
          Runner run(target);
          const Buffer<TestType> x_buffer(x_storage, shape, x), y_buffer(y_storage, shape);
          run(Relu<TestType>{.x = x_buffer, .y = y_buffer});
          require_equal(y_buffer.values(), y);
          REQUIRE(y_buffer.intact());

          const Buffer<TestType> dy_buffer(x_storage, shape, dy), dx_buffer(y_storage, shape);
          run(ReluBackward<TestType>{.y = y_buffer, .dy = dy_buffer, .dx = dx_buffer});
          require_equal(dx_buffer.values(), dx);
          REQUIRE(dx_buffer.intact());
          run(ReluBackward<TestType>{.y = y_buffer, .dy = dy_buffer, .dx = dy_buffer});
          require_equal(dy_buffer.values(), dx);

          run(Relu<TestType>{.x = x_buffer, .y = x_buffer});
          require_equal(x_buffer.values(), y);
          REQUIRE(x_buffer.intact());
        }
      }
    }
  }
}

TEST_CASE("relu: special values") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const Target target : kTargets) {
    const Shape shape{1, 1, 1, 5};
    const Buffer<float> x(Storage::nhwc, shape, {nan, -0.0, inf, -inf, 1e-45}), y(kOtherStorage, shape);
    Runner{target}(Relu<float>{.x = x, .y = y});
    require_equal(y.values(), {nan, 0, inf, 0, static_cast<double>(1e-45F)});
    REQUIRE_FALSE(std::signbit(y.values()[1]));
  }
}

TEST_CASE("relu: gradient equals finite differences") {
  const Shape shape{2, 3, 4, 5};
  const Values x = mapped(randoms(shape, 3, -1, 1), [](double v) { return std::abs(v) < 0.01 ? 0.5 : v; });
  const Values dy = randoms(shape, 4, -1, 1);
  Runner run(Target::reference);
  const Buffer<double> dy_buffer(Storage::nhwc, shape, dy), y(Storage::nhwc, shape), dx(Storage::nhwc, shape);
  const auto f = [&](const Values& at) {
    const Buffer<double> x_buffer(Storage::nhwc, shape, at);
    run(Relu<double>{.x = x_buffer, .y = y});
    return dot(y.values(), dy);
  };
  f(x);
  run(ReluBackward<double>{.y = y, .dy = dy_buffer, .dx = dx});
  require_close(dx.values(), numeric_gradient(f, x), 1e-6);
}

TEST_CASE("relu: refuses operands that do not fit") {
  const Buffer<float> a(Storage::nhwc, {2, 3, 4, 5}), b(Storage::nhwc, {2, 3, 4, 6}), c(Storage::blocked, {1, 3, 4, 5});
  const View<float> part = a.view().crop(0, 0, 2, 4), other_part = a.view().crop(1, 0, 2, 4);
  require_refused<ShapeError>(Relu<float>{.x = a, .y = b}, {"relu: y", "[2,3,4,5]", "[2,3,4,6]"});
  require_refused<ShapeError>(Relu<float>{.x = a, .y = c}, {"relu: y", "[2,3,4,5]", "[1,3,4,5]"});
  require_refused<ShapeError>(Relu<float>{.x = a, .y = {}}, {"relu: y", "[2,3,4,5]", "no data"});
  require_refused<ShapeError>(Relu<float>{.x = {}, .y = a}, {"relu: x"});
  require_refused<ShapeError>(Relu<float>{.x = part, .y = other_part}, {"y [2,2,4,5] over x [2,2,4,5]"});
  require_refused<ShapeError>(ReluBackward<float>{.y = a, .dy = b, .dx = a}, {"dy", "[2,3,4,5]", "[2,3,4,6]"});
  require_refused<ShapeError>(ReluBackward<float>{.y = a, .dy = a, .dx = b}, {"dx", "[2,3,4,5]", "[2,3,4,6]"});
  require_refused<ShapeError>(ReluBackward<float>{.y = a, .dy = a, .dx = a}, {"dx [2,3,4,5] over"});
  View<float> odd = a;
  odd.block = 4;
  require_refused<TypeError>(Relu<float>{.x = odd, .y = a}, {"relu: x", "5 or 16 channels", "got 4"});
}

TEST_CASE("relu: f64 is refused on the cpu target") {
  const Buffer<double> x(Storage::nhwc, {1, 1, 1, 1}, {1}), y(Storage::nhwc, {1, 1, 1, 1});
  REQUIRE_THROWS_AS(Runner{kTarget}(Relu<double>{.x = x, .y = y}), TypeError);
}

}  // namespace
}  // namespace unet::kernels::test
