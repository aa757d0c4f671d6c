#include "kernels/dropout.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

constexpr PhiloxKey kKey{.seed = 0x123456789abcdef0, .purpose = 7, .step = 42};

/// Dropout by its definition over the logical index.
Values dropped(const Values& x, double p) {
  Values y = x;
  for (size_t i = 0; i < x.size(); ++i) {
    y[i] = uniform(philox(kKey, i / 4).word[i % 4]) >= p ? x[i] / (1 - p) : 0;
  }
  return y;
}

TEMPLATE_TEST_CASE("dropout: one mask for every layout, target and number of threads", "", float, bf16) {
  for (const Target target : kTargets) {
    for (const int64_t c : kChannels) {
      const Shape shape{2, 3, 7, c};
      const Values x = integers(shape, 1, 1, 9);
      for (const double p : {0.0, 0.5, 0.75}) {
        const Values y = dropped(x, p);
        for (const Storage x_storage : kStorages) {
          for (const Storage y_storage : kStorages) {
            CAPTURE(name_of(target), shape, p, x_storage, y_storage);
            Runner run(target);
            const Buffer<TestType> x_buffer(x_storage, shape, x), y_buffer(y_storage, shape);
            run(Dropout<TestType>{.x = x_buffer, .y = y_buffer, .p = p, .key = kKey});
            require_equal(y_buffer.values(), y);
            REQUIRE(y_buffer.intact());
            run(Dropout<TestType>{.x = x_buffer, .y = x_buffer, .p = p, .key = kKey});
            require_equal(x_buffer.values(), y);
            REQUIRE(x_buffer.intact());
          }
        }
      }
    }
  }
  const Shape large{2, 20, 30, 33};
  const Values x = integers(large, 2, 1, 9);
  require_schedule_independent([&](int threads) {
    const Buffer<TestType> x_buffer(kOtherStorage, large, x), y_buffer(Storage::nhwc_crop, large);
    Runner{kTarget, threads}(Dropout<TestType>{.x = x_buffer, .y = y_buffer, .p = 0.5, .key = kKey});
    return y_buffer.values();
  });
}

TEST_CASE("dropout: a rate with no exact scale agrees to one rounding") {
  const Shape shape{1, 9, 9, 40};
  const Values x = randoms<float>(shape, 1, -1, 1), y = dropped(x, 0.3);
  for (const Target target : kTargets) {
    const Buffer<float> x_buffer(Storage::nhwc, shape, x), y_buffer(kOtherStorage, shape);
    Runner{target}(Dropout<float>{.x = x_buffer, .y = y_buffer, .p = 0.3, .key = kKey});
    require_close(y_buffer.values(), y, 3e-7, 0);
  }
}

TEST_CASE("dropout: drops the share it is asked to, and another one at every step") {
  const Shape shape{1, 100, 100, 16};
  const Buffer<float> x(kOtherStorage, shape, Values(static_cast<size_t>(shape.size()), 1));
  const Buffer<float> y(kOtherStorage, shape), other(kOtherStorage, shape);
  Runner run(kTarget);
  for (const double p : {0.1, 0.5, 0.9}) {
    run(Dropout<float>{.x = x, .y = y, .p = p, .key = kKey});
    const Values values = y.values();
    const auto share = static_cast<double>(std::count(values.begin(), values.end(), 0)) / 160000;
    REQUIRE(std::abs(share - p) < 5 * std::sqrt(p * (1 - p) / 160000));
  }
  run(Dropout<float>{.x = x, .y = y, .p = 0.5, .key = {.seed = 1, .purpose = 2, .step = 3}});
  run(Dropout<float>{.x = x, .y = other, .p = 0.5, .key = {.seed = 1, .purpose = 2, .step = 4}});
  const Values a = y.values(), b = other.values();
  int agreeing = 0;
  for (size_t i = 0; i < a.size(); ++i) agreeing += a[i] == b[i] ? 1 : 0;
  REQUIRE(std::abs(agreeing - 80000) < 1000);  // 5 standard deviations of 200
}

TEST_CASE("dropout: a step kept in memory is the key's") {
  const Shape shape{1, 3, 7, 17};
  const Values x = integers(shape, 1, 1, 9);
  const Buffer<uint32_t> step(Storage::nhwc, {}, {static_cast<double>(kKey.step)});
  PhiloxKey key = kKey;
  key.step = 5;
  for (const Target target : kTargets) {
    const Buffer<float> x_buffer(Storage::nhwc, shape, x), y_buffer(Storage::nhwc, shape);
    Runner{target}(Dropout<float>{.x = x_buffer, .y = y_buffer, .p = 0.5, .key = key, .step = step.view().data});
    require_equal(y_buffer.values(), dropped(x, 0.5));
  }
}

TEST_CASE("dropout: a dropped NaN is gone") {
  const Shape shape{1, 1, 1, 64};
  const Buffer<float> x(Storage::nhwc, shape, Values(64, std::numeric_limits<double>::quiet_NaN()));
  const Values y = dropped(x.values(), 0.5);
  for (const Target target : kTargets) {
    const Buffer<float> y_buffer(Storage::nhwc, shape);
    Runner{target}(Dropout<float>{.x = x, .y = y_buffer, .p = 0.5, .key = kKey});
    require_equal(y_buffer.values(), y);
  }
}

TEST_CASE("dropout: the operation on the gradient equals finite differences") {
  const Shape shape{1, 3, 4, 5};
  const Values x = randoms(shape, 1, -1, 1), dy = randoms(shape, 2, -1, 1);
  Runner run(Target::reference);
  const Buffer<double> y(Storage::nhwc, shape), dy_buffer(Storage::nhwc, shape, dy), dx(Storage::nhwc, shape);
  const auto f = [&](const Values& at) {
    const Buffer<double> x_buffer(Storage::nhwc, shape, at);
    run(Dropout<double>{.x = x_buffer, .y = y, .p = 0.3, .key = kKey});
    return dot(y.values(), dy);
  };
  run(Dropout<double>{.x = dy_buffer, .y = dx, .p = 0.3, .key = kKey});
  require_close(dx.values(), numeric_gradient(f, x), 1e-6);
}

TEST_CASE("dropout: refuses operands that do not fit and rates that are none") {
  const Buffer<float> a(Storage::nhwc, {2, 3, 4, 5}), b(Storage::nhwc, {2, 3, 4, 6});
  const View<float> top = a.view().crop(0, 0, 2, 4), bottom = a.view().crop(1, 0, 2, 4);
  require_refused<ShapeError>(Dropout<float>{.x = a, .y = b, .key = {}}, {"dropout: y", "[2,3,4,5]", "[2,3,4,6]"});
  require_refused<ShapeError>(Dropout<float>{.x = b, .y = a, .key = {}}, {"dropout: y", "[2,3,4,6]", "[2,3,4,5]"});
  require_refused<ShapeError>(Dropout<float>{.x = {}, .y = a, .key = {}}, {"dropout: x"});
  require_refused<ShapeError>(Dropout<float>{.x = top, .y = bottom, .key = {}}, {"[2,2,4,5] over x [2,2,4,5]"});
  for (const double p : {-0.1, 1.0, std::numeric_limits<double>::quiet_NaN()}) {
    require_refused<ConfigError>(Dropout<float>{.x = a, .y = a, .p = p, .key = {}},
                                 {"dropout: p", "[0,1)", "[2,3,4,5]"});
  }
}

}  // namespace
}  // namespace unet::kernels::test
