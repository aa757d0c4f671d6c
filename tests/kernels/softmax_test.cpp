#include "kernels/softmax.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

/// Softmax over each pixel's c scores, in double.
Values softmax_of(const Values& x, int64_t c) {
  Values y = x;
  for (auto pixel = y.begin(); pixel != y.end(); pixel += c) {
    const double highest = *std::max_element(pixel, pixel + c);
    double sum = 0;
    std::for_each(pixel, pixel + c, [&](double& v) { sum += v = std::exp(v - highest); });
    std::for_each(pixel, pixel + c, [&](double& v) { v /= sum; });
  }
  return y;
}

TEST_CASE("softmax: within a few roundings in every mix of layouts and in place") {
  for (const Target target : kTargets) {
    for (const int64_t c : kChannels) {
      const Shape shape{2, 3, 67, c};  // 67: a full set of vector lanes and a rest
      const Values x = randoms<float>(shape, 1, -10, 10), y = softmax_of(x, c);
      for (const Storage x_storage : kStorages) {
        for (const Storage y_storage : kStorages) {
          CAPTURE(name_of(target), shape, x_storage, y_storage);
          const Buffer<float> x_buffer(x_storage, shape, x), y_buffer(y_storage, shape);
          Runner{target}(Softmax<float>{.x = x_buffer, .y = y_buffer});
          require_close(y_buffer.values(), y, 2e-6, 1e-9);  // x - max, up to 20, is rounded by up to 2^-20
          REQUIRE(y_buffer.intact());
          Runner{target}(Softmax<float>{.x = x_buffer, .y = x_buffer});
          require_equal(x_buffer.values(), y_buffer.values());
          REQUIRE(x_buffer.intact());
        }
      }
    }
  }
}

TEST_CASE("softmax: golden values and extreme scores") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const Shape shape{1, 1, 6, 2};
  const Values x{0, 0, 1e4, 0, -80, 0, 3e38, -3e38, -inf, 5, nan, 1};
  const Values y{0.5, 0.5, 1, 0, 1.8048513878454153e-35, 1, 1, 0, 0, 1, nan, nan};
  for (const Target target : kTargets) {
    const Buffer<float> x_buffer(Storage::nhwc, shape, x), y_buffer(Storage::nhwc, shape);
    Runner{target}(Softmax<float>{.x = x_buffer, .y = y_buffer});
    const Values result = y_buffer.values();
    for (size_t i = 0; i < y.size(); ++i) {
      CAPTURE(name_of(target), i, result[i], y[i]);
      REQUIRE((std::isnan(y[i]) ? std::isnan(result[i]) : std::abs(result[i] - y[i]) <= 1e-6 * y[i]));
    }
  }
}

TEST_CASE("softmax: the exponential over its whole range, where the cpu's has no subnormal results") {
  const Shape shape{1, 1, 90000, 2};
  Values x(180000, 0);
  for (size_t i = 0; i < 90000; ++i) x[2 * i] = static_cast<double>(static_cast<float>(-1e-3 * static_cast<double>(i)));
  const Values y = softmax_of(x, 2);
  const Buffer<float> x_buffer(Storage::nhwc, shape, x), y_buffer(Storage::nhwc, shape);
  Runner{kTarget}(Softmax<float>{.x = x_buffer, .y = y_buffer});
  const Values result = y_buffer.values();
  double worst = 0;
  for (size_t i = 0; i < 180000; i += 2) {
    if (x[i] >= -87) worst = std::max(worst, std::abs(result[i] / y[i] - 1));
    if (x[i] < -87.5) REQUIRE((kOnDevice ? std::abs(result[i] - y[i]) <= 0x1p-147 : result[i] == 0));
  }
  REQUIRE(worst < 4 * 0x1p-23);
}

TEST_CASE("softmax: the same bits for every number of threads, double on the reference") {
  const Shape shape{2, 65, 66, 3};
  const Values x = randoms<float>(shape, 1, -5, 5);
  require_schedule_independent([&](int threads) {
    const Buffer<float> x_buffer(kOtherStorage, shape, x), y(Storage::nhwc, shape);
    Runner{kTarget, threads}(Softmax<float>{.x = x_buffer, .y = y});
    return y.values();
  });
  const Buffer<double> x_buffer(Storage::blocked, shape, x), y(Storage::nhwc, shape);
  Runner{Target::reference}(Softmax<double>{.x = x_buffer, .y = y});
  require_close(y.values(), softmax_of(x, 3), 1e-15);
}

TEST_CASE("softmax: refuses operands that do not fit") {
  const Buffer<float> a(Storage::nhwc, {2, 3, 4, 5}), b(Storage::nhwc, {2, 3, 4, 6}), c(Storage::nhwc, {2, 4, 3, 5});
  const View<float> top = a.view().crop(0, 0, 2, 4), bottom = a.view().crop(1, 0, 2, 4);
  require_refused<ShapeError>(Softmax<float>{.x = a, .y = b}, {"softmax: y", "[2,3,4,5]", "[2,3,4,6]"});
  require_refused<ShapeError>(Softmax<float>{.x = a, .y = c}, {"softmax: y", "[2,3,4,5]", "[2,4,3,5]"});
  require_refused<ShapeError>(Softmax<float>{.x = a, .y = {}}, {"softmax: y", "[2,3,4,5]"});
  require_refused<ShapeError>(Softmax<float>{.x = {}, .y = a}, {"softmax: x"});
  require_refused<ShapeError>(Softmax<float>{.x = top, .y = bottom}, {"y [2,2,4,5] over x [2,2,4,5]"});
}

}  // namespace
}  // namespace unet::kernels::test
