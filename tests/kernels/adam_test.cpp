#include "kernels/adam.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

/// Parameter, gradient and moments of one tensor.
template <class T>
struct Tensor {
  std::vector<T> w, dw;
  std::vector<T> m = std::vector<T>(w.size(), 0), v = std::vector<T>(w.size(), 0);
  double lr_factor = 1, decay_factor = 1;

  AdamParameter<T> parameter() {
    return {.w = w.data(),
            .dw = dw.data(),
            .m = m.data(),
            .v = v.data(),
            .size = static_cast<int64_t>(w.size()),
            .lr_factor = lr_factor,
            .decay_factor = decay_factor};
  }
};

TEST_CASE("adam: under a constant gradient every step is lr * g / (|g| + eps)") {
  // m/(1-b1^t) = g and v/(1-b2^t) = g^2 for every t.
  for (const Target target : kTargets) {
    Tensor<float> t{.w = {1, 1, 1}, .dw = {0.5, -2, 1e-4F}};
    const std::vector parameters{t.parameter()};
    Runner run(target);
    for (int64_t step = 1; step <= 20; ++step) {
      run(Adam<float>{.parameters = parameters, .step = step, .lr = 1e-2, .eps = 1e-4});
      for (size_t i = 0; i < 3; ++i) {
        const double g = t.dw[i];
        REQUIRE(t.w[i] == Approx(1 - static_cast<double>(step) * 1e-2 * g / (std::abs(g) + 1e-4)).epsilon(5e-6));
      }
    }
  }
}

TEST_CASE("adam: two steps by hand, decoupled decay, factors and gradient scale") {
  for (const Target target : kTargets) {
    // beta1 = beta2 = 1/2: m = 1/2, v = 1/2, then m = -1/4 (corrected -1/3), v = 3/4 (corrected 1).
    Tensor<float> t{.w = {8}, .dw = {2}}, frozen{.w = {8}, .dw = {2}, .lr_factor = 0};
    const std::vector parameters{t.parameter(), frozen.parameter(), AdamParameter<float>{}};
    Adam<float> op{.parameters = parameters,
                   .step = 1,
                   .lr = 0.5,
                   .beta1 = 0.5,
                   .beta2 = 0.5,
                   .eps = 1,
                   .weight_decay = 0.25,
                   .gradient_scale = 0.5};
    Runner run(target);
    run(op);
    REQUIRE(t.m[0] == 0.5F);
    REQUIRE(t.v[0] == 0.5F);
    REQUIRE(t.w[0] == 8 - 0.5F * (1.0F / 2 + 2));
    t.dw[0] = -2, op.step = 2;
    run(op);
    REQUIRE(t.m[0] == -0.25F);
    REQUIRE(t.v[0] == 0.75F);
    REQUIRE(t.w[0] == Approx(6.75 - 0.5 * (-1.0 / 6 + 0.25 * 6.75)).epsilon(1e-6));
    REQUIRE(frozen.w[0] == 8);
  }
}

template <class T>
Values after_three_steps(Target target, int threads) {
  std::vector<Tensor<T>> tensors;
  std::vector<AdamParameter<T>> parameters;
  for (const int64_t size : {1, 15, 16, 17, 1000, 40001}) {
    const Values w = randoms<float>({1, 1, 1, size}, 1, -1, 1), dw = randoms<float>({1, 1, 1, size}, 2, -1, 1);
    tensors.push_back({.w = {w.begin(), w.end()}, .dw = {dw.begin(), dw.end()}});
  }
  for (auto& tensor : tensors) parameters.push_back(tensor.parameter());
  Runner run(target, threads);
  for (int64_t step = 1; step <= 3; ++step) {
    run(Adam<T>{.parameters = parameters, .step = step, .lr = 0.01, .weight_decay = 0.1, .gradient_scale = 0.3});
    for (auto& tensor : tensors) std::rotate(tensor.dw.begin(), tensor.dw.begin() + 1, tensor.dw.end());
  }
  Values all;
  for (const auto& tensor : tensors) {
    for (const auto* values : {&tensor.w, &tensor.m, &tensor.v}) all.insert(all.end(), values->begin(), values->end());
  }
  return all;
}

TEST_CASE("adam: targets agree, threads do not matter") {
  const Values expected = after_three_steps<double>(Target::reference, 1);
  require_close(after_three_steps<float>(Target::reference, 1), expected, 1e-6);
  require_close(after_three_steps<float>(Target::cpu, 2), expected, 1e-6);
  require_thread_independent([](int threads) { return after_three_steps<float>(Target::cpu, threads); });
}

TEST_CASE("adam: refuses missing arrays and settings that are none") {
  float number = 0;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const AdamParameter<float> good{.w = &number, .dw = &number, .m = &number, .v = &number, .size = 1};
  const auto refused = [&](auto change, const std::vector<std::string>& parts) {
    AdamParameter<float> p = good;
    change(p);
    const std::vector parameters{good, p};
    require_refused<ShapeError>(Adam<float>{.parameters = parameters}, parts);
  };
  refused([](auto& p) { p.w = nullptr; }, {"adam: parameter 1", "[1]", "got no w"});
  refused([](auto& p) { p.dw = nullptr; }, {"adam: parameter 1", "[1]", "got no dw"});
  refused([](auto& p) { p.m = nullptr; }, {"adam: parameter 1", "[1]", "got no m"});
  refused([](auto& p) { p.v = nullptr; }, {"adam: parameter 1", "[1]", "got no v"});
  refused([](auto& p) { p.size = -5; }, {"adam: parameter 1", "got -5"});
  require_refused<ConfigError>(Adam<float>{.parameters = {}, .step = 0}, {"adam: step", "got 0"});
  require_refused<ConfigError>(Adam<float>{.parameters = {}, .lr = nan}, {"lr", "nan"});
  require_refused<ConfigError>(Adam<float>{.parameters = {}, .beta1 = 1}, {"beta1", "[0,1)", "got 1"});
  require_refused<ConfigError>(Adam<float>{.parameters = {}, .beta2 = -0.5}, {"beta2", "[0,1)", "-0.5"});
  require_refused<ConfigError>(Adam<float>{.parameters = {}, .eps = 0}, {"adam: eps", "got 0"});
}

}  // namespace
}  // namespace unet::kernels::test
