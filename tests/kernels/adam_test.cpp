#include "kernels/adam.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

/// Parameter, gradient and moments of one tensor.
template <class T>
struct Tensor {
  Tensor(const Values& w_values, const Values& dw_values, Storage storage = Storage::nhwc)
      : shape{1, 1, 1, static_cast<int64_t>(w_values.size())},
        w(storage, shape, w_values),
        dw(storage, shape, dw_values),
        m(storage, shape, Values(w_values.size(), 0)),
        v(storage, shape, Values(w_values.size(), 0)) {}

  AdamParameter<T> parameter(double lr_factor = 1) const {
    return {.w = w.view().data,
            .dw = dw.view().data,
            .m = m.view().data,
            .v = v.view().data,
            .size = shape.c,
            .lr_factor = lr_factor};
  }

  Shape shape;
  Buffer<T> w, dw, m, v;
};

TEST_CASE("adam: under a constant gradient every step is lr * g / (|g| + eps)") {
  // m/(1-b1^t) = g and v/(1-b2^t) = g^2 for every t.
  for (const Target target : kTargets) {
    const Tensor<float> t({1, 1, 1}, {0.5, -2, static_cast<double>(1e-4F)});
    const std::vector parameters{t.parameter()};
    Runner run(target);
    for (int64_t step = 1; step <= 20; ++step) {
      run(Adam<float>{.parameters = parameters, .step = step, .lr = 1e-2, .eps = 1e-4});
      for (size_t i = 0; i < 3; ++i) {
        const double g = t.dw.values()[i];
        REQUIRE(t.w.values()[i] ==
                Approx(1 - static_cast<double>(step) * 1e-2 * g / (std::abs(g) + 1e-4)).epsilon(5e-6));
      }
    }
  }
}

TEST_CASE("adam: two steps by hand, decoupled decay, factors and gradient scale") {
  for (const Target target : kTargets) {
    // beta1 = beta2 = 1/2: m = 1/2, v = 1/2, then m = -1/4 (corrected -1/3), v = 3/4 (corrected 1).
    Tensor<float> t({8}, {2}), frozen({8}, {2});
    const std::vector parameters{t.parameter(), frozen.parameter(0), AdamParameter<float>{}};
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
    require_equal(t.m.values(), {0.5});
    require_equal(t.v.values(), {0.5});
    require_equal(t.w.values(), {8 - 0.5 * (1.0 / 2 + 2)});
    t.dw.assign({-2});
    op.step = 2;
    run(op);
    require_equal(t.m.values(), {-0.25});
    require_equal(t.v.values(), {0.75});
    require_close(t.w.values(), {6.75 - 0.5 * (-1.0 / 6 + 0.25 * 6.75)}, 1e-6);
    require_equal(frozen.w.values(), {8});
  }
}

/// Tensors of many sizes, more than one launch takes, some of them not aligned.
template <class T>
Values after_three_steps(Target target, int threads) {
  std::vector<Tensor<T>> tensors;
  std::vector<AdamParameter<T>> parameters;
  for (const int64_t size : sizes_of_parameters()) {
    const Shape shape{1, 1, 1, size};
    const auto seed = static_cast<uint32_t>(tensors.size());
    const Storage storage = kStorages[tensors.size() % 3 == 2 ? kStorages.size() - 1 : 0];
    tensors.emplace_back(randoms<float>(shape, seed, -1, 1), randoms<float>(shape, seed + 1, -1, 1), storage);
  }
  for (const auto& tensor : tensors) parameters.push_back(tensor.parameter());
  Runner run(target, threads);
  for (int64_t step = 1; step <= 3; ++step) {
    run(Adam<T>{.parameters = parameters, .step = step, .lr = 0.01, .weight_decay = 0.1, .gradient_scale = 0.3});
    for (auto& tensor : tensors) {
      Values dw = tensor.dw.values();
      std::rotate(dw.begin(), dw.begin() + 1, dw.end());
      tensor.dw.assign(dw);
    }
  }
  Values all;
  for (const auto& tensor : tensors) {
    for (const auto* buffer : {&tensor.w, &tensor.m, &tensor.v}) {
      REQUIRE(buffer->intact());
      const Values values = buffer->values();
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  return all;
}

TEST_CASE("adam: targets agree, threads do not matter") {
  const Values expected = after_three_steps<double>(Target::reference, 1);
  require_close(after_three_steps<float>(Target::reference, 1), expected, 1e-6);
  require_close(after_three_steps<float>(kTarget, 2), expected, 1e-6);
  require_schedule_independent([](int threads) { return after_three_steps<float>(kTarget, threads); });
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
