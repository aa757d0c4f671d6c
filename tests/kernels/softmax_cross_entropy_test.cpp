#include "kernels/softmax_cross_entropy.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

/// All operands of one loss; labels and weights channels last.
template <class T>
struct Problem {
  Shape shape;
  Values x, labels;
  Values weights = {};  // empty: all 1
  LossNormalization normalization = LossNormalization::valid_pixels;
  double scale = 1;

  struct Result {
    double loss;
    Values dx;
  };

  Result solve(Target target, Storage x_storage = Storage::nhwc, Storage dx_storage = Storage::nhwc,
               Storage label_storage = Storage::nhwc, int threads = 2) const {
    const Shape plane{shape.n, shape.h, shape.w, 1};
    const Buffer<T> x_buffer(x_storage, shape, x), dx_buffer(dx_storage, shape), loss(Storage::nhwc, {1, 1, 1, 1});
    const Buffer<int32_t> label_buffer(label_storage, plane, labels);
    const Buffer<float> weight_buffer(label_storage, plane, weights.empty() ? Values(labels.size(), 1) : weights);
    Runner{target, threads}(
        SoftmaxCrossEntropy<T>{.x = x_buffer,
                               .labels = label_buffer,
                               .weights = weights.empty() ? View<const float>{} : View<const float>(weight_buffer),
                               .loss = loss,
                               .dx = dx_buffer,
                               .normalization = normalization,
                               .scale = scale});
    REQUIRE((dx_buffer.intact() && loss.intact()));
    return {loss.values()[0], dx_buffer.values()};
  }
};

template <class T>
Problem<T> random_problem(Shape shape, uint32_t seed) {
  const Shape plane{shape.n, shape.h, shape.w, 1};
  return {.shape = shape,
          .x = randoms<float>(shape, seed, -5, 5),
          .labels = integers(plane, seed + 1, -1, static_cast<int>(shape.c) - 1),
          .weights = mapped(randoms<float>(plane, seed + 2, -1, 10), [](double w) { return std::max(w, 0.0); })};
}

TEST_CASE("softmax_cross_entropy: two pixels by hand") {
  // p = (1/2, 1/2) and (3/4, 1/4); loss = 2 log 2 + 3 log 4 = 8 log 2 before division.
  Problem<float> problem{.shape = {1, 1, 2, 2}, .x = {0, 0, std::log(3), 0}, .labels = {0, 1}, .weights = {2, 3}};
  struct Case {
    LossNormalization normalization;
    double z;
  };
  for (const Target target : kTargets) {
    for (const auto& [normalization, z] : {Case{LossNormalization::valid_pixels, 2},
                                           Case{LossNormalization::weight_sum, 5}, Case{LossNormalization::none, 1}}) {
      problem.normalization = normalization;
      problem.scale = 4;  // on dx alone
      const auto result = problem.solve(target);
      REQUIRE(result.loss == Approx(8 * std::log(2) / z).epsilon(1e-6));
      require_close(result.dx, {-4 / z, 4 / z, 9 / z, -9 / z}, 1e-6);
    }
  }
}

TEST_CASE("softmax_cross_entropy: ignored pixels and weight 0 do not count") {
  Problem<float> problem{.shape = {1, 1, 4, 2}, .x = {0, 0, 9, -9, 5, 5, 0, 0}, .labels = {0, -1, 1, 1}};
  for (const Target target : kTargets) {
    problem.weights = {1, 7, 0, 1};
    const auto result = problem.solve(target);
    REQUIRE(result.loss == Approx(std::log(2)).epsilon(1e-6));
    require_close(result.dx, {-0.25, 0.25, 0, 0, 0, 0, 0.25, -0.25}, 1e-7);
    problem.weights.clear();
    REQUIRE(problem.solve(target).loss == Approx(std::log(2)).epsilon(1e-6));

    problem.weights = {0, 1, 0, 0};  // nothing counts: loss and gradient are zero
    const auto nothing = problem.solve(target);
    REQUIRE(nothing.loss == 0);
    require_equal(nothing.dx, Values(8, 0));
  }
}

TEST_CASE("softmax_cross_entropy: a hopeless pixel costs -log FLT_MIN, a NaN shows, an ignored NaN does not") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Problem<float> problem{.shape = {1, 1, 1, 2}, .x = {0, 1000}, .labels = {0}};
  for (const Target target : kTargets) {
    problem.x = {0, 1000};
    problem.labels = {0};
    const auto result = problem.solve(target);
    REQUIRE(result.loss == Approx(87.33654475).epsilon(1e-7));
    require_equal(result.dx, {-1, 1});
    problem.x = {0, nan};
    REQUIRE(std::isnan(problem.solve(target).loss));
    REQUIRE(std::isnan(problem.solve(target).dx[0]));
    problem.labels = {-1};
    REQUIRE(problem.solve(target).loss == 0);
    require_equal(problem.solve(target).dx, {0, 0});
  }
}

TEST_CASE("softmax_cross_entropy: both targets agree in every mix of layouts") {
  for (const int64_t c : kChannels) {
    const auto problem = random_problem<float>({2, 3, 67, c}, 10);
    Problem<double> exact{problem.shape, problem.x, problem.labels, problem.weights};
    const auto expected = exact.solve(Target::reference);
    for (const Target target : kTargets) {
      for (const Storage x_storage : kStorages) {
        for (const Storage dx_storage : kStorages) {
          for (const Storage label_storage : kStorages) {
            CAPTURE(name_of(target), c, x_storage, dx_storage, label_storage);
            const auto result = problem.solve(target, x_storage, dx_storage, label_storage);
            REQUIRE(std::abs(result.loss - expected.loss) <= 1e-6 * std::max(1.0, expected.loss));
            require_close(result.dx, expected.dx, 1e-6, 0.1);
          }
        }
      }
    }
  }
}

TEST_CASE("softmax_cross_entropy: dx over x, and no dx at all") {
  const auto problem = random_problem<float>({1, 5, 70, 3}, 20);
  for (const Target target : kTargets) {
    const auto expected = problem.solve(target);
    const Shape plane{1, 5, 70, 1};
    const Buffer<float> x(kOtherStorage, problem.shape, problem.x), loss(Storage::nhwc, {1, 1, 1, 1});
    const Buffer<int32_t> labels(Storage::nhwc, plane, problem.labels);
    const Buffer<float> weights(Storage::nhwc, plane, problem.weights);
    SoftmaxCrossEntropy<float> op{.x = x, .labels = labels, .weights = weights, .loss = loss, .dx = {}};
    Runner{target}(op);
    require_equal(loss.values(), {expected.loss});
    require_equal(x.values(), problem.x);
    op.dx = x;
    Runner{target}(op);
    require_equal(loss.values(), {expected.loss});
    require_equal(x.values(), expected.dx);
    REQUIRE(x.intact());
  }
}

TEST_CASE("softmax_cross_entropy: gradient equals finite differences") {
  for (const LossNormalization normalization :
       {LossNormalization::valid_pixels, LossNormalization::weight_sum, LossNormalization::none}) {
    auto problem = random_problem<double>({2, 2, 3, 4}, 30);
    problem.normalization = normalization;
    problem.scale = 0.5;
    const Values dx = problem.solve(Target::reference).dx;
    const auto f = [&](const Values& at) {
      problem.x = at;
      return problem.scale * problem.solve(Target::reference).loss;
    };
    require_close(dx, numeric_gradient(f, problem.x), 1e-6, 0.1);
  }
}

TEST_CASE("softmax_cross_entropy: the same bits for every number of threads") {
  const auto problem = random_problem<float>({2, 97, 99, 2}, 40);
  require_schedule_independent([&](int threads) {
    const auto result = problem.solve(kTarget, kOtherStorage, Storage::nhwc, Storage::nhwc_crop, threads);
    Values all = result.dx;
    all.push_back(result.loss);
    return all;
  });
}

TEST_CASE("softmax_cross_entropy: labels and weights that cannot be used are named") {
  const Shape shape{2, 100, 100, 2}, plane{2, 100, 100, 1};
  const Values ones(40000, 1), poisoned(40000, std::numeric_limits<double>::quiet_NaN());
  const Buffer<float> x(Storage::nhwc, shape, ones), dx(Storage::nhwc, shape), loss(Storage::nhwc, {});
  const auto message = [&](Target target, double label, double weight) -> std::string {
    dx.assign(poisoned);
    loss.assign({5});
    Values labels(20000, 1), weights(20000, 1);
    labels[10307] = label, weights[10307] = weight;  // image 1, row 3, column 7
    labels[15000] = label;                           // a later one is not the one to name
    const Buffer<int32_t> label_buffer(Storage::nhwc, plane, labels);
    const Buffer<float> weight_buffer(Storage::nhwc, plane, weights);
    Runner run(target);
    try {
      run(SoftmaxCrossEntropy<float>{.x = x, .labels = label_buffer, .weights = weight_buffer, .loss = loss, .dx = dx});
    } catch (const DataError& error) {
      if (kOnDevice) {  // found too late to write nothing
        REQUIRE(std::isnan(loss.values()[0]));
        require_equal(dx.values(), Values(40000, 0));
      } else {
        require_equal(loss.values(), {5});
        require_equal(dx.values(), poisoned);
      }
      run.context.state->synchronize();  // told once
      return error.what();
    }
    return "no error";
  };
  using Catch::Matchers::Contains;
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  struct Case {
    double label, weight;
    const char* text;
  };
  for (const Target target : kTargets) {
    for (const Case& c :
         {Case{2, 1, "label: expected -1 (ignore) to 1, got 2"}, Case{-2, 1, "got -2"},
          Case{2147483647, 1, "got 2147483647"}, Case{0, -0.5, "weight: expected a finite number from 0, got -0.5"},
          Case{0, nan, "got nan"}, Case{-1, inf, "got inf"}}) {
      const std::string text = message(target, c.label, c.weight);
      REQUIRE_THAT(text, Contains("in image 1, row 3, column 7"));
      if (!kOnDevice) REQUIRE_THAT(text, Contains(c.text));
    }
  }
}

TEST_CASE("softmax_cross_entropy: refuses operands that do not fit") {
  const Buffer<float> x(Storage::nhwc, {2, 3, 4, 5}), wide(Storage::nhwc, {2, 3, 4, 6}),
      loss(Storage::nhwc, {1, 1, 1, 1});
  const Buffer<float> weights(Storage::nhwc, {2, 3, 4, 1}), small_weights(Storage::nhwc, {2, 3, 3, 1});
  const Buffer<int32_t> labels(Storage::nhwc, {2, 3, 4, 1}), small_labels(Storage::nhwc, {1, 3, 4, 1});
  const auto refused = [&](auto change, const std::vector<std::string>& parts) {
    SoftmaxCrossEntropy<float> op{.x = x, .labels = labels, .weights = weights, .loss = loss, .dx = {}};
    op.check();
    change(op);
    require_refused<ShapeError>(op, parts);
  };
  refused([&](auto& op) { op.x = {}; }, {"softmax_cross_entropy: x"});
  refused([&](auto& op) { op.labels = small_labels; }, {"labels", "[2,3,4,1]", "[1,3,4,1]"});
  refused([&](auto& op) { op.labels = {}; }, {"labels", "[2,3,4,1]"});
  refused([&](auto& op) { op.weights = small_weights; }, {"weights", "[2,3,4,1]", "[2,3,3,1]"});
  refused([&](auto& op) { op.loss = x; }, {"loss", "[1,1,1,1]", "[2,3,4,5]"});
  refused([&](auto& op) { op.loss = {}; }, {"loss", "[1,1,1,1]"});
  refused([&](auto& op) { op.dx = wide; }, {"dx", "[2,3,4,5]", "[2,3,4,6]"});
  refused([&](auto& op) { op.loss = View<float>::nhwc(x.view().data, 1, 1, 1, 1); },
          {"loss [1,1,1,1] over x [2,3,4,5]"});
  require_refused<ConfigError>(
      SoftmaxCrossEntropy<float>{.x = x, .labels = labels, .weights = {}, .loss = loss, .dx = {}, .scale = INFINITY},
      {"scale", "[2,3,4,5]"});
}

}  // namespace
}  // namespace unet::kernels::test
