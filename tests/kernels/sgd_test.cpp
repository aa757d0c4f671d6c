#include "kernels/sgd.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

/// Parameter, gradient and velocity of one tensor.
template <class T>
struct Tensor {
  Tensor(const Values& w_values, const Values& dw_values, const Values& v_values, Storage storage = Storage::nhwc)
      : shape{1, 1, 1, static_cast<int64_t>(w_values.size())},
        w(storage, shape, w_values),
        dw(storage, shape, dw_values),
        v(storage, shape, v_values) {}

  SgdParameter<T> parameter(double lr_factor = 1, double decay_factor = 1) const {
    return {.w = w.view().data,
            .dw = dw.view().data,
            .v = v.view().data,
            .size = shape.c,
            .lr_factor = lr_factor,
            .decay_factor = decay_factor};
  }

  Shape shape;
  Buffer<T> w, dw, v;
};

TEST_CASE("sgd: Caffe's momentum keeps the old learning rate in its velocity") {
  for (const Target target : kTargets) {
    const Tensor<float> t({0}, {1}, {0});
    const std::vector parameters{t.parameter()};
    Runner run(target);
    run(Sgd<float>{.parameters = parameters, .lr = 1, .momentum = 0.5});
    require_equal(t.v.values(), {-1});
    require_equal(t.w.values(), {-1});
    run(Sgd<float>{.parameters = parameters, .lr = 0.125, .momentum = 0.5});
    require_equal(t.v.values(), {-0.625});  // PyTorch's rule would move by 0.1875
    require_equal(t.w.values(), {-1.625});
  }
}

TEST_CASE("sgd: decay, factors and gradient scale by hand") {
  for (const Target target : kTargets) {
    const Tensor<float> plain({4}, {32}, {2}), bias({4}, {32}, {2});
    const std::vector parameters{plain.parameter(), bias.parameter(2, 0), SgdParameter<float>{}};
    Runner{target}(Sgd<float>{
        .parameters = parameters, .lr = 0.5, .momentum = 0.5, .weight_decay = 0.25, .gradient_scale = 0.125});
    require_equal(plain.v.values(), {1 - 0.5 * (4 + 1)});
    require_equal(plain.w.values(), {4 + 1 - 0.5 * (4 + 1)});
    require_equal(bias.v.values(), {1 - 1.0 * 4});
    require_equal(bias.w.values(), {4 + 1 - 1.0 * 4});
  }
}

/// Tensors of many sizes, more than one launch takes, some of them not aligned.
template <class T>
Values after_three_steps(Target target, int threads) {
  std::vector<Tensor<T>> tensors;
  std::vector<SgdParameter<T>> parameters;
  for (const int64_t size : sizes_of_parameters()) {
    const auto draw = [&](uint32_t seed) {
      return randoms<float>({1, 1, 1, size}, seed + static_cast<uint32_t>(tensors.size()), -1, 1);
    };
    const Storage storage = kStorages[tensors.size() % 3 == 2 ? kStorages.size() - 1 : 0];
    tensors.emplace_back(draw(1), draw(2), draw(3), storage);
  }
  for (const auto& tensor : tensors) parameters.push_back(tensor.parameter());
  Runner run(target, threads);
  for (const double lr : {0.1, 0.1, 0.01}) {
    run(Sgd<T>{.parameters = parameters, .lr = lr, .momentum = 0.9, .weight_decay = 1e-3, .gradient_scale = 0.3});
  }
  Values all;
  for (const auto& tensor : tensors) {
    for (const auto* buffer : {&tensor.w, &tensor.v}) {
      REQUIRE(buffer->intact());
      const Values values = buffer->values();
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  return all;
}

TEST_CASE("sgd: targets agree, threads do not matter") {
  const Values expected = after_three_steps<double>(Target::reference, 1);
  require_close(after_three_steps<float>(Target::reference, 1), expected, 1e-6);
  require_close(after_three_steps<float>(kTarget, 2), expected, 1e-6);
  require_schedule_independent([](int threads) { return after_three_steps<float>(kTarget, threads); });
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
