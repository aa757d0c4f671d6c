#include "kernels/add.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

TEMPLATE_TEST_CASE("add: sums in every mix of layouts and in place", "", float, bf16) {
  for (const Target target : kTargets) {
    for (const int64_t c : kChannels) {
      const Shape shape{2, 3, 5, c};
      const Values a = integers(shape, 1, -50, 50), b = integers(shape, 2, -50, 50);
      Values y = a;
      for (size_t i = 0; i < y.size(); ++i) y[i] += b[i];

      for (const Storage a_storage : kStorages) {
        for (const Storage b_storage : kStorages) {
          for (const Storage y_storage : kStorages) {
            CAPTURE(name_of(target), shape, a_storage, b_storage, y_storage);
            const Buffer<TestType> a_buffer(a_storage, shape, a), b_buffer(b_storage, shape, b);
            const Buffer<TestType> y_buffer(y_storage, shape);
            Runner{target}(Add<TestType>{.a = a_buffer, .b = b_buffer, .y = y_buffer});
            require_equal(y_buffer.values(), y);
            REQUIRE(y_buffer.intact());
          }
          const Buffer<TestType> a_buffer(a_storage, shape, a), b_buffer(b_storage, shape, b);
          Runner{target}(Add<TestType>{.a = a_buffer, .b = b_buffer, .y = a_buffer});
          require_equal(a_buffer.values(), y);
          REQUIRE(a_buffer.intact());
          REQUIRE(b_buffer.intact());
        }
      }
    }
  }
}

TEST_CASE("add: bf16 sums in float and rounds once, to even") {
  for (const Target target : kTargets) {
    const Shape shape{1, 1, 1, 3};
    const Buffer<bf16> a(Storage::nhwc, shape, {256, 258, 1}), b(Storage::nhwc, shape, {1, 1, 0x1p-7}),
        y(Storage::nhwc, shape);
    Runner{target}(Add<bf16>{.a = a, .b = b, .y = y});
    require_equal(y.values(), {256, 260, 1 + 0x1p-7});
  }
}

TEST_CASE("add: gradient equals finite differences") {
  const Shape shape{1, 2, 3, 4};
  const Values a = randoms(shape, 1, -1, 1), b = randoms(shape, 2, -1, 1), dy = randoms(shape, 3, -1, 1);
  const Buffer<double> b_buffer(Storage::blocked, shape, b), y(Storage::nhwc, shape);
  Runner run(Target::reference);
  const auto f = [&](const Values& at) {
    const Buffer<double> a_buffer(Storage::nhwc, shape, at);
    run(Add<double>{.a = a_buffer, .b = b_buffer, .y = y});
    return dot(y.values(), dy);
  };
  require_close(numeric_gradient(f, a), dy, 1e-6);
}

TEST_CASE("add: refuses operands that do not fit") {
  const Buffer<float> a(Storage::nhwc, {2, 3, 4, 5}), b(Storage::nhwc, {2, 3, 4, 6}), c(Storage::blocked, {2, 2, 4, 5});
  const View<float> top = a.view().crop(0, 0, 2, 4), bottom = a.view().crop(1, 0, 2, 4);
  require_refused<ShapeError>(Add<float>{.a = a, .b = b, .y = a}, {"add: b", "[2,3,4,5]", "[2,3,4,6]"});
  require_refused<ShapeError>(Add<float>{.a = a, .b = a, .y = c}, {"add: y", "[2,3,4,5]", "[2,2,4,5]"});
  require_refused<ShapeError>(Add<float>{.a = {}, .b = a, .y = a}, {"add: a"});
  require_refused<ShapeError>(Add<float>{.a = a, .b = {}, .y = a}, {"add: b", "[2,3,4,5]"});
  require_refused<ShapeError>(Add<float>{.a = top, .b = c, .y = bottom}, {"y [2,2,4,5] over a [2,2,4,5]"});
  require_refused<ShapeError>(Add<float>{.a = c, .b = top, .y = bottom}, {"y [2,2,4,5] over b [2,2,4,5]"});
}

}  // namespace
}  // namespace unet::kernels::test
