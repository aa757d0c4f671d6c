#include "kernels/reduce.h"

#include <span>

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

template <class T>
double reduced(Target target, const Buffer<T>& x, Reduction reduction, int threads = 2) {
  const Buffer<double> result(Storage::nhwc, {});
  Runner{target, threads}(Reduce<T>{.x = x, .reduction = reduction, .result = result.view().data});
  return result.values()[0];
}

TEMPLATE_TEST_CASE("reduce: exact on integers in every layout", "", float, bf16) {
  for (const Target target : kTargets) {
    for (const int64_t c : kChannels) {
      for (const Storage storage : kStorages) {
        const Shape shape{2, 3, 5, c};
        CAPTURE(name_of(target), shape, storage);
        const Values x = integers(shape, 1, -20, 15);
        const Buffer<TestType> buffer(storage, shape, x);
        double sum = 0, highest = 0;
        for (const double v : x) sum += v, highest = std::max(highest, std::abs(v));
        REQUIRE(reduced(target, buffer, Reduction::sum) == sum);
        REQUIRE(reduced(target, buffer, Reduction::sum_of_squares) == dot(x, x));
        REQUIRE(reduced(target, buffer, Reduction::max_abs) == highest);
        REQUIRE(reduced(target, buffer, Reduction::count_nonfinite) == 0);
      }
    }
  }
}

TEMPLATE_TEST_CASE("reduce: finds every value that is not finite", "", float, bf16) {
  const Shape shape{1, 4, 5, 17};
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const Target target : kTargets) {
    for (const Storage storage : kStorages) {
      for (size_t at = 0; at < 340; at += 7) {
        Values x(340, -1);
        x[at] = nan;
        const Buffer<TestType> buffer(storage, shape, x);
        REQUIRE(std::isnan(reduced(target, buffer, Reduction::max_abs)));
        REQUIRE(std::isnan(reduced(target, buffer, Reduction::sum)));
        REQUIRE(reduced(target, buffer, Reduction::count_nonfinite) == 1);
      }
      Values x(340, 2);
      x[3] = inf, x[100] = -inf, x[339] = nan;
      REQUIRE(reduced(target, Buffer<TestType>(storage, shape, x), Reduction::count_nonfinite) == 3);
      x[339] = 0;
      REQUIRE(reduced(target, Buffer<TestType>(storage, shape, x), Reduction::max_abs) == inf);
    }
  }
}

TEST_CASE("reduce: sums in double") {
  const Shape shape{1, 1, 5, 1};
  for (const Target target : kTargets) {
    const Buffer<float> x(Storage::nhwc, shape, {16777216, 1, 1, 1, -16777216});
    REQUIRE(reduced(target, x, Reduction::sum) == 3);
    const Buffer<float> large(Storage::nhwc, shape, {1e30, 1e30, 0, 0, 0});
    REQUIRE(reduced(target, large, Reduction::sum_of_squares) == Approx(2e60));
  }
}

TEST_CASE("reduce: the same bits for every number of threads, and close to the reference") {
  const Shape shape{2, 33, 41, 17};
  const Buffer<float> x(kOtherStorage, shape, randoms<float>(shape, 1, -1, 1));
  for (const Reduction reduction : {Reduction::sum, Reduction::sum_of_squares, Reduction::max_abs}) {
    require_schedule_independent([&](int threads) { return Values{reduced(kTarget, x, reduction, threads)}; });
    require_close({reduced(kTarget, x, reduction)}, {reduced(Target::reference, x, reduction)}, 1e-12);
  }
}

TEST_CASE("reduce: double on the reference target") {
  const Buffer<double> x(Storage::nhwc, {1, 1, 1, 2}, {1e-300, 2e-300});
  REQUIRE(reduced(Target::reference, x, Reduction::sum) == 1e-300 + 2e-300);
  REQUIRE_THROWS_AS(reduced(kTarget, x, Reduction::sum), TypeError);
}

/// The sum over arrays of many sizes, more than one launch takes, some of them not aligned, and one empty.
/// `change(all values)` before.
template <class T, class Change>
double sum_of_squares(Target target, int threads, bool integral, Change change) {
  std::vector<Values> values;
  for (const int64_t size : sizes_of_parameters()) {
    const Shape shape{1, 1, 1, size};
    const auto seed = static_cast<uint32_t>(values.size());
    values.push_back(integral ? integers(shape, seed, -9, 9) : randoms<float>(shape, seed, -1, 1));
  }
  change(values);
  std::vector<Buffer<T>> buffers;
  std::vector<std::span<const T>> arrays{{}};
  for (const Values& v : values) {
    const Storage storage = kOnDevice && buffers.size() % 3 == 2 ? Storage::nhwc_shifted : Storage::nhwc;
    const Buffer<T>& buffer = buffers.emplace_back(storage, Shape{1, 1, 1, std::ssize(v)}, v);
    arrays.emplace_back(buffer.view().data, v.size());
  }
  const Buffer<double> result(Storage::nhwc, {});
  Runner{target, threads}(SumOfSquares<T>{.arrays = arrays, .result = result.view().data});
  return result.values()[0];
}

TEST_CASE("sum_of_squares: exact on integers, over arrays of all sizes") {
  for (const Target target : kTargets) {
    CAPTURE(name_of(target));
    double expected = 0;
    const double sum = sum_of_squares<float>(target, 2, true, [&](const std::vector<Values>& values) {
      for (const Values& v : values) expected += dot(v, v);
    });
    REQUIRE(sum == expected);
    const Buffer<double> nothing(Storage::nhwc, {}, {7});
    Runner{target}(SumOfSquares<float>{.arrays = {}, .result = nothing.view().data});
    REQUIRE(nothing.values()[0] == 0);
  }
}

TEST_CASE("sum_of_squares: not finite where any element is not, and finite else") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const auto with = [](Target target, size_t array, size_t at, double value) {
    return sum_of_squares<float>(target, 2, true, [&](auto& values) { values[array].at(at) = value; });
  };
  for (const Target target : kTargets) {
    CAPTURE(name_of(target));
    for (const auto& [array, at] : {std::pair{0, 0}, {4, 999}, {7, 4096}, {8, 5000}, {8, 12288}, {100, 0}}) {
      CAPTURE(array, at);
      const auto a = static_cast<size_t>(array), i = static_cast<size_t>(at);
      REQUIRE(std::isnan(with(target, a, i, nan)));
      REQUIRE(with(target, a, i, -inf) == inf);
      REQUIRE(with(target, a, i, 3e38) == Approx(9e76));
    }
  }
}

TEST_CASE("sum_of_squares: the same bits for every number of threads, and close to the reference in double") {
  const auto sum = [](auto zero, Target target, int threads) {
    return sum_of_squares<decltype(zero)>(target, threads, false, [](const auto&) {});
  };
  require_schedule_independent([&](int threads) { return Values{sum(0.0F, kTarget, threads)}; });
  require_close({sum(0.0F, kTarget, 2)}, {sum(0.0, Target::reference, 1)}, 1e-12);
}

TEST_CASE("sum_of_squares: refuses an array without data and a missing result") {
  const float number = 0;
  double result = 0;
  const std::vector<std::span<const float>> good{{&number, 1}}, bad{{&number, 1}, {static_cast<float*>(nullptr), 3}};
  require_refused<ShapeError>(SumOfSquares<float>{.arrays = bad, .result = &result},
                              {"sum_of_squares: array 1", "[3]"});
  require_refused<ShapeError>(SumOfSquares<float>{.arrays = good}, {"sum_of_squares: result", "1 arrays"});
}

TEST_CASE("reduce: refuses views without elements and a missing result") {
  float memory = 0;
  double result = 0;
  const auto reduce = [&](const View<float>& x) { return Reduce<float>{.x = x, .result = &result}; };
  require_refused<ShapeError>(reduce({}), {"reduce: x", "expected data"});
  require_refused<ShapeError>(reduce(View<float>::nhwc(&memory, 1, 0, 1, 1)), {"reduce: x", "[1,0,1,1]"});
  require_refused<ShapeError>(reduce(View<float>::nhwc(&memory, 1, 1, -2, 1)), {"reduce: x", "[1,1,-2,1]"});
  require_refused<ShapeError>(reduce(View<float>::blocked(&memory, 1, 1, 1, 0)), {"reduce: x", "[1,1,1,0]"});
  constexpr int64_t side = int64_t{1} << 20;
  require_refused<ShapeError>(reduce(View<float>::nhwc(&memory, side, side, 1, 1)), {"reduce: x", "2^40"});
  require_refused<ShapeError>(Reduce<float>{.x = View<float>::nhwc(&memory, 1, 1, 1, 1)}, {"result", "[1,1,1,1]"});
}

}  // namespace
}  // namespace unet::kernels::test
