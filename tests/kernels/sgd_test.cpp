#include "kernels/sgd.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

/// Parameter, gradient and velocity of one tensor.
template <class T>
struct Tensor {
  std::vector<T> w, dw, v;
  double lr_factor = 1, decay_factor = 1;

  SgdParameter<T> parameter() {
    return {.w = w.data(),
            .dw = dw.data(),
            .v = v.data(),
            .size = static_cast<int64_t>(w.size()),
            .lr_factor = lr_factor,
            .decay_factor = decay_factor};
  }
};

TEST_CASE("sgd: Caffe's momentum keeps the old learning rate in its velocity") {
  for (const Target target : kTargets) {
    Tensor<float> t{.w = {0}, .dw = {1}, .v = {0}};
    const std::vector parameters{t.parameter()};
    Runner run(target);
    run(Sgd<float>{.parameters = parameters, .lr = 1, .momentum = 0.5});
    REQUIRE(t.v[0] == -1);
    REQUIRE(t.w[0] == -1);
    run(Sgd<float>{.parameters = parameters, .lr = 0.125, .momentum = 0.5});
    REQUIRE(t.v[0] == -0.625F);  // PyTorch's rule would move by 0.1875
    REQUIRE(t.w[0] == -1.625F);
  }
}

TEST_CASE("sgd: decay, factors and gradient scale by hand") {
  for (const Target target : kTargets) {
    Tensor<float> plain{.w = {4}, .dw = {32}, .v = {2}};
    Tensor<float> bias{.w = {4}, .dw = {32}, .v = {2}, .lr_factor = 2, .decay_factor = 0};
    const std::vector parameters{plain.parameter(), bias.parameter(), SgdParameter<float>{}};
    Runner{target}(Sgd<float>{
        .parameters = parameters, .lr = 0.5, .momentum = 0.5, .weight_decay = 0.25, .gradient_scale = 0.125});
    REQUIRE(plain.v[0] == 1 - 0.5F * (4 + 1));
    REQUIRE(plain.w[0] == 4 + 1 - 0.5F * (4 + 1));
    REQUIRE(bias.v[0] == 1 - 1.0F * 4);
    REQUIRE(bias.w[0] == 4 + 1 - 1.0F * 4);
  }
}

template <class T>
std::vector<Tensor<T>> random_tensors() {
  std::vector<Tensor<T>> tensors;
  for (const int64_t size : {1, 15, 16, 17, 1000, 40001}) {
    const auto draw = [&](uint32_t seed) {
      const Values values = randoms<float>({1, 1, 1, size}, seed + static_cast<uint32_t>(size), -1, 1);
      return std::vector<T>(values.begin(), values.end());
    };
    tensors.push_back({.w = draw(1), .dw = draw(2), .v = draw(3)});
  }
  return tensors;
}

template <class T>
Values after_three_steps(Target target, int threads) {
  auto tensors = random_tensors<T>();
  std::vector<SgdParameter<T>> parameters;
  for (auto& tensor : tensors) parameters.push_back(tensor.parameter());
  Runner run(target, threads);
  for (const double lr : {0.1, 0.1, 0.01}) {
    run(Sgd<T>{.parameters = parameters, .lr = lr, .momentum = 0.9, .weight_decay = 1e-3, .gradient_scale = 0.3});
  }
  Values all;
  for (const auto& tensor : tensors) {
    all.insert(all.end(), tensor.w.begin(), tensor.w.end());
    all.insert(all.end(), tensor.v.begin(), tensor.v.end());
  }
  return all;
}

TEST_CASE("sgd: targets agree, threads do not matter") {
  const Values expected = after_three_steps<double>(Target::reference, 1);
  require_close(after_three_steps<float>(Target::reference, 1), expected, 1e-6);
  require_close(after_three_steps<float>(Target::cpu, 2), expected, 1e-6);
  require_thread_independent([](int threads) { return after_three_steps<float>(Target::cpu, threads); });
}

TEST_CASE("sgd: refuses missing arrays and settings that are none") {
  float number = 0;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const SgdParameter<float> good{.w = &number, .dw = &number, .v = &number, .size = 1};
  const auto with = [&](auto change) {
    SgdParameter<float> p = good;
    change(p);
    return p;
  };
  const auto refused = [&](const SgdParameter<float>& p, const std::vector<std::string>& parts) {
    const std::vector parameters{good, p};
    require_refused<ShapeError>(Sgd<float>{.parameters = parameters}, parts);
  };
  refused(with([](auto& p) { p.w = nullptr; }), {"sgd: parameter 1", "[1]", "got no w"});
  refused(with([](auto& p) { p.dw = nullptr; }), {"sgd: parameter 1", "[1]", "got no dw"});
  refused(with([](auto& p) { p.v = nullptr; }), {"sgd: parameter 1", "[1]", "got no v"});
  refused(with([](auto& p) { p.size = -1; }), {"sgd: parameter 1", "got -1"});
  const std::vector endless{with([&](auto& p) { p.lr_factor = nan; })};
  require_refused<ConfigError>(Sgd<float>{.parameters = endless}, {"parameter 0", "lr_factor nan"});
  require_refused<ConfigError>(Sgd<float>{.parameters = {}, .lr = nan}, {"sgd", "lr", "nan"});
  require_refused<ConfigError>(Sgd<float>{.parameters = {}, .momentum = 1}, {"sgd: momentum", "[0,1)", "got 1"});
  require_refused<ConfigError>(Sgd<float>{.parameters = {}, .weight_decay = nan}, {"weight_decay", "nan"});
  require_refused<ConfigError>(Sgd<float>{.parameters = {}, .gradient_scale = INFINITY}, {"gradient_scale", "inf"});
}

}  // namespace
}  // namespace unet::kernels::test
