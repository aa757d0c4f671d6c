// Training, inference and their interplay on a target with memory and order of its own.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "engine/add.h"
#include "engine/autograd.h"
#include "engine/captured_work.h"
#include "engine/cast.h"
#include "engine/conv2d.h"
#include "engine/conv_transpose2d.h"
#include "engine/initializer.h"
#include "engine/max_pool2d.h"
#include "engine/relu.h"
#include "engine/softmax_cross_entropy.h"
#include "engine/staged_tensor.h"
#if UNET_WITH_EMULATED
#include "kernels/emulated/state.h"
#endif
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/training_support.h"
#include "unet/inference.h"
#include "unet/model.h"

using namespace unet;
using engine::Tensor;
using kernels::Target;

namespace {

constexpr Target kTarget = Target::UNET_TEST_TARGET;

std::shared_ptr<engine::Device> device_of(Target target, bool capture = true) {
  return engine::Device::make(
      {.target = target, .threads = 1, .convolution = kernels::ConvolutionMode::direct, .capture = capture});
}

TrainingConfig tiny_config(Precision precision = Precision::f32, OptimizerKind optimizer = OptimizerKind::sgd) {
  TrainingConfig config = test::small_config();
  config.network = {.depth = 1, .width = 4, .dropout = 0.2};
  config.tile = {.input = 26, .batch = 1};
  config.optimizer.kind = optimizer;
  config.optimizer.momentum = 0.9;
  config.optimizer.lr = 1e-2;
  config.run.precision = precision;
  return config;
}

struct Course {
  std::vector<double> losses, norms;
  std::vector<float> weights;
  bool operator==(const Course&) const = default;
};

Course go(Trainer& trainer, int steps) {
  Course course;
  for (int i = 0; i < steps; ++i) {
    const StepRecord record = trainer.step();
    course.losses.push_back(record.loss);
    course.norms.push_back(record.gradient_norm);
  }
  course.weights = test::weights_of(trainer);
  return course;
}

Course go(const std::shared_ptr<engine::Device>& device, const TrainingConfig& config, int steps) {
  Trainer trainer = test::make_trainer(device, config);
  return go(trainer, steps);
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(double{a[i]} - double{b[i]});
    worst = d <= worst ? worst : d;  // a NaN stays
  }
  return worst;
}

Image ramp(int64_t height, int64_t width) {
  Image image(height, width);
  for (size_t i = 0; i < image.data.size(); ++i) image.data[i] = static_cast<float>(i % 97) / 97;
  return image;
}

}  // namespace

TEST_CASE("device training: steps agree with the reference, SGD and Adam, f32 and bf16") {
  // Adam divides a gradient by its own size: the rounding errors of small ones weigh as much as large gradients do.
  for (const auto& [precision, loss_tolerance, weight_tolerance] :
       {std::tuple{Precision::f32, 1e-5, 2e-4}, std::tuple{Precision::bf16, 2e-2, 5e-3}}) {
    for (const OptimizerKind optimizer : {OptimizerKind::sgd, OptimizerKind::adam}) {
      CAPTURE(name_of(precision), name_of(optimizer));
      TrainingConfig config = tiny_config(precision, optimizer);
      config.network.depth = 2;
      config.tile.input = 52;
      const Course got = go(device_of(kTarget), config, 3);
      const Course expected = go(device_of(Target::reference), config, 3);
      for (size_t i = 0; i < 3; ++i) {
        CAPTURE(i);
        CHECK(got.losses[i] == Approx(expected.losses[i]).epsilon(loss_tolerance));
        CHECK(got.norms[i] == Approx(expected.norms[i]).epsilon(10 * loss_tolerance));
      }
      const double tolerance = optimizer == OptimizerKind::adam ? weight_tolerance : weight_tolerance / 10;
      CHECK(largest_difference(got.weights, expected.weights) <= tolerance);
    }
  }
}

TEST_CASE("device training: replayed steps equal direct ones bit for bit, with a validation in between") {
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    CAPTURE(name_of(precision));
    const TrainingConfig config = tiny_config(precision, OptimizerKind::adam);
    TrainingSet set = test::small_set(config);
    set.validation[0].image = ramp(10, 12);
    set.validation[0].classes = LabelMap(10, 12);
    const ModelInfo info{.network = config.network};
    Trainer direct(device_of(kTarget, false), config, set, info), replayed(device_of(kTarget), config, set, info);
    REQUIRE(go(replayed, 4) == go(direct, 4));
    const auto a = replayed.validate(), b = direct.validate();
    REQUIRE(a.loss == b.loss);
    REQUIRE(a.metrics == b.metrics);
    REQUIRE(go(replayed, 3) == go(direct, 3));
  }
}

TEST_CASE("device training: what kernels do on the way has the bits of operations of their own") {
  const auto gradients = [](DType precision, bool fused) {
    const auto device = device_of(kTarget);
    std::vector<Tensor> parameters;
    const auto parameter = [&](const engine::Shape& shape) {
      const Tensor p = Tensor::empty(device, shape);
      engine::he_normal(p, 20, {.seed = parameters.size()});
      return parameters.emplace_back(p.set_requires_grad());
    };
    const auto layer = [&](const Tensor& x, const Tensor& x2 = {}, Tensor* pooled = nullptr) {
      const int64_t inputs = x.shape().c() + (x2 ? x2.shape().c() : 0);
      const Tensor w = parameter({16, 3, 3, inputs}), b = parameter({16});
      if (fused) return engine::conv2d(x, w, b, {.x2 = x2, .relu = true, .pooled = pooled});
      const Tensor y = engine::relu(engine::conv2d(x, w, b, {.x2 = x2}));
      // Behind an operation of its own the pooling has no part in the sum of y's gradients.
      if (pooled) *pooled = engine::max_pool2d(engine::add(y, Tensor::zeros(device, y.shape(), y.dtype())));
      return y;
    };
    const Tensor image = Tensor::from(device, engine::Shape{1, 20, 20, 1}, ramp(20, 20).data);
    Tensor pooled;
    const Tensor skip = layer(layer(engine::cast(image, precision)), {}, &pooled);
    const Tensor h = layer(pooled);
    const Tensor up = engine::conv_transpose2d(h, parameter({16, 2, 2, 16}), parameter({16}), false);
    const Tensor y = layer(up, skip);
    const Tensor scores = engine::conv2d(y, parameter({2, 1, 1, 16}), {}, {.wide_output = true});
    std::vector<int32_t> labels(100);
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = i % 3 == 0;
    engine::backward(engine::softmax_cross_entropy(scores, Tensor::from(device, engine::Shape{1, 10, 10, 1}, labels)));
    std::vector<std::vector<float>> all;
    for (const Tensor& p : parameters) all.push_back(p.grad().to_vector());
    return all;
  };
  for (const DType precision : {DType::f32, DType::bf16}) {
    CAPTURE(name_of(precision));
    const auto expected = gradients(precision, false);
    CHECK(std::count(expected[0].begin(), expected[0].end(), 0.0F) < 72);
    CHECK(gradients(precision, true) == expected);
  }
}

#if UNET_WITH_EMULATED
TEST_CASE("device training: neither pooling a convolution's result nor a skip connection's gradient costs a launch") {
  if (kTarget != Target::emulated) return;
  const auto device = device_of(kTarget);
  const auto launches = [&](auto work) {
    const kernels::emulated::State& state = kernels::emulated::state_of(device->context());
    const int64_t before = state.launches();
    work();
    return state.launches() - before;
  };
  const Tensor x = Tensor::from(device, engine::Shape{1, 14, 14, 16}, std::vector<float>(14 * 14 * 16, 1));
  const Tensor w = Tensor::zeros(device, engine::Shape{16, 3, 3, 16}), v = Tensor::zeros(device, {2, 1, 1, 32});
  const Tensor labels = Tensor::from(device, engine::Shape{1, 6, 6, 1}, std::vector<int32_t>(36));
  w.set_requires_grad(), v.set_requires_grad();
  const auto backward_launches = [&](bool skip) {
    Tensor y, pooled;
    const int64_t plain = launches([&] { engine::conv2d(x, w, {}, {.relu = true}); });
    CHECK(launches([&] { y = engine::conv2d(x, w, {}, {.relu = true, .pooled = &pooled}); }) == plain);
    const Tensor scores = engine::conv2d(pooled, v, {}, {.x2 = skip ? y : y.detach(), .wide_output = true});
    const Tensor loss = engine::softmax_cross_entropy(scores, labels);
    w.set_grad({}), v.set_grad({});
    return launches([&] { engine::backward(loss); });
  };
  CHECK(backward_launches(true) == backward_launches(false));
}
#endif

TEST_CASE("device training: resumed it goes on bit for bit") {
  const test::TemporaryFolder folder;
  const TrainingConfig config = tiny_config();
  Trainer whole = test::make_trainer(device_of(kTarget), config);
  go(whole, 3);
  whole.save_checkpoint(folder / "checkpoint");
  Trainer resumed = test::make_trainer(device_of(kTarget), config);
  go(resumed, 1);  // what was started ahead must not survive
  resumed.load_checkpoint(folder / "checkpoint");
  CHECK(go(resumed, 2) == go(whole, 2));
}

TEST_CASE("device training: a label that is no class is told, and training can go on with others") {
  const TrainingConfig config = tiny_config();
  const auto device = device_of(kTarget);
  TrainingSet set = test::small_set(config);
  for (TrainingPage& page : set.training) {
    for (int32_t& c : page.classes.data) c = 5;
  }
  Trainer trainer(device, config, set, ModelInfo{.network = config.network});
  CHECK_THROWS_AS(trainer.step(), DataError);
  CHECK(go(device, config, 1) == go(device_of(kTarget), config, 1));
}

TEST_CASE("device training: whichever allocation fails, tried again the numbers are the same") {
  const TrainingConfig config = tiny_config();
  const Course expected = go(device_of(kTarget), config, 3);
  int failures = 0;
  for (int k = 5; k <= 305; k += 50) {  // direct steps, recordings and updates
    CAPTURE(k);
    const auto device = device_of(kTarget);
    Trainer trainer = test::make_trainer(device, config);
    const size_t before = device->arena().bytes_in_use();
    device->arena().fail_at(k);
    std::vector<double> losses;
    while (trainer.steps_done() < 3) {
      try {
        losses.push_back(trainer.step().loss);
      } catch (const OutOfMemory&) {
        ++failures;
        REQUIRE(device->arena().bytes_in_use() == before);
      }
    }
    REQUIRE(losses == expected.losses);
    REQUIRE(test::weights_of(trainer) == expected.weights);
  }
  CHECK(failures >= 2);
}

TEST_CASE("device inference: tiles agree with the reference, with one tile, and with smaller ones where memory ends") {
  const NetworkConfig config{.depth = 1, .width = 4, .dropout = 0};
  const Image image = ramp(40, 44);
  const auto device = device_of(kTarget);
  const Network network(device, config, 7), reference(device_of(Target::reference), config, 7);
  const Image whole = predict(network, image, {.tile = {52, 56}});
  CHECK(largest_difference(whole.data, predict(reference, image, {.tile = {52, 56}}).data) <= 1e-5);
  CHECK(predict(network, image, {.tile = {36, 40}}).data == whole.data);

  std::string told;
  device->arena().fail_at(9);
  const auto tell = [&](const std::string& message) { told = message; };
  CHECK(predict(network, image, {.tile = {52, 56}, .on_message = tell}).data == whole.data);
  CHECK(told.starts_with("tiles of 52 x 56 px do not fit into memory"));
}

TEST_CASE("captured work: a replay reads what is in its tensors now, and writes to nobody else's memory") {
  const auto device = device_of(kTarget);
  const engine::Shape shape{1, 4, 4, 8};
  const Tensor x = Tensor::from(device, shape, std::vector<float>(128, 1));
  Tensor y;
  const engine::CapturedWork work(device, [&] { y = engine::relu(engine::relu(x)); });
  const size_t in_use = device->arena().bytes_in_use();
  for (const float value : {2.0F, -3.0F, 5.0F}) {
    x.assign(std::vector<float>(128, value));
    const Tensor other = Tensor::from(device, shape, std::vector<float>(128, 7));
    work.replay();
    CHECK(y.to_vector() == std::vector<float>(128, std::max(value, 0.0F)));
    CHECK(other.to_vector() == std::vector<float>(128, 7));
  }
  CHECK(device->arena().bytes_in_use() == in_use);
}

TEST_CASE("captured work: an error while recording is told, and the device goes on") {
  const auto device = device_of(kTarget);
  const size_t before = device->arena().bytes_in_use();
  CHECK_THROWS_AS(engine::CapturedWork(device,
                                       [&] {
                                         const Tensor x = Tensor::zeros(device, engine::Shape{100});
                                         throw DataError("made up");
                                       }),
                  DataError);
  CHECK(device->arena().bytes_in_use() == before);
  CHECK(Tensor::from(device, engine::Shape{2}, std::vector<float>{1, 2}).to_vector() == std::vector<float>{1, 2});
}

TEST_CASE("staged tensor: values arrive in their turn") {
  const auto device = device_of(kTarget);
  engine::StagedTensor staged(device, engine::Shape{3}, DType::i32);
  const auto values = [](int32_t turn) { return std::vector<int32_t>{turn, turn + 1, turn + 2}; };
  staged.start<int32_t>(0, values(0));
  for (int32_t turn = 0; turn < 4; ++turn) {
    staged.finish(turn);
    staged.start<int32_t>(turn + 1, values(turn + 1));
    CHECK(staged.tensor().values<int32_t>() == values(turn));
  }
  CHECK_THROWS_AS(staged.start<int32_t>(5, std::vector<int32_t>(2)), ShapeError);
}
