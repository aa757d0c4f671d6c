// Every allocation of a device may fail: nothing crashes, nothing leaks, and what comes next is right.
#include "engine/softmax_cross_entropy.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/training_support.h"
#include "unet/inference.h"
#include "unet/model.h"

using namespace unet;
using engine::Shape;
using engine::Tensor;

namespace {

/// Runs `work` with the k-th allocation failing, for k = 1, 2, ... until it succeeds; after every failure `check`.
/// Returns the number of failures.
template <class Work, class Check>
int for_each_failure(engine::Device& device, const Work& work, const Check& check) {
  for (int k = 1;; ++k) {
    CAPTURE(k);
    REQUIRE(k < 1000);
    device.arena().fail_at(k);
    bool failed = false;
    try {
      work();
    } catch (const OutOfMemory&) {
      failed = true;
    }
    device.arena().fail_at(0);
    if (!failed) return k - 1;
    check();
  }
}

Image ramp(int64_t height, int64_t width) {
  Image image(height, width);
  for (size_t i = 0; i < image.data.size(); ++i) image.data[i] = static_cast<float>(i % 97) / 97;
  return image;
}

}  // namespace

TEST_CASE("memory faults: a forward pass with and without a graph") {
  const auto device = engine::Device::make({.threads = 1});
  const Network network(device, {.depth = 1, .width = 8, .dropout = 0}, 7);
  const Tensor x = Tensor::from(device, Shape{1, 34, 34, 1}, ramp(34, 34).data);
  const std::vector<float> expected = network.forward(x, DType::f32).to_vector();
  const auto forget_packed = [&] {
    for (const auto& p : network.parameters()) p.value.assign(p.value.to_vector());
  };
  for (const bool inference : {false, true}) {
    CAPTURE(inference);
    forget_packed();
    const size_t before = device->arena().bytes_in_use();
    const auto run = [&] {
      std::optional<engine::NoGrad> guard;
      if (inference) guard.emplace(*device);
      const std::vector<float> scores = network.forward(x, DType::f32).to_vector();
      CHECK(scores == expected);
    };
    const int failures = for_each_failure(*device, run, [&] {
      forget_packed();
      REQUIRE(device->arena().bytes_in_use() == before);
    });
    CHECK(failures > 8);
  }
}

TEST_CASE("memory faults: a training step starts again as if nothing had been") {
  const TrainingConfig config = test::small_config();
  const auto device = engine::Device::make({.threads = 1});
  Trainer undisturbed = test::make_trainer(engine::Device::make({.threads = 1}), config);
  Trainer trainer = test::make_trainer(device, config);
  const size_t before = device->arena().bytes_in_use();
  const std::vector<float> weights = test::weights_of(trainer);
  StepRecord record;
  const int failures = for_each_failure(
      *device, [&] { record = trainer.step(); },
      [&] {
        REQUIRE(device->arena().bytes_in_use() == before);
        REQUIRE(trainer.steps_done() == 0);
        REQUIRE(test::weights_of(trainer) == weights);
      });
  CHECK(failures > 30);
  CHECK(record.loss == undisturbed.step().loss);
  CHECK(trainer.step().loss == undisturbed.step().loss);
  CHECK(test::weights_of(trainer) == test::weights_of(undisturbed));
}

TEST_CASE("memory faults: loading a model") {
  const test::TemporaryFolder folder;
  const auto device = engine::Device::make({.threads = 1});
  const ModelInfo info{.network = {.depth = 1, .width = 8}};
  const Network network(device, info.network, 7);
  save_model(folder / "model", network, info);
  const size_t before = device->arena().bytes_in_use();
  const int failures = for_each_failure(
      *device,
      [&] {
        const Model model = load_model(folder / "model", device);
        CHECK(model.network.parameters()[0].value.to_vector() == network.parameters()[0].value.to_vector());
      },
      [&] { REQUIRE(device->arena().bytes_in_use() == before); });
  CHECK(failures == 16);
}

TEST_CASE("memory faults: prediction takes a smaller tile and says so, or gives up") {
  const auto device = engine::Device::make({.threads = 1, .convolution = kernels::ConvolutionMode::direct});
  const Network network(device, {.depth = 1, .width = 8, .dropout = 0}, 7);
  const Image image = ramp(40, 40);
  const Image expected = predict(network, image, {.tile = {56, 56}});
  const size_t before = device->arena().bytes_in_use();
  std::vector<std::string> messages;
  const InferenceOptions options{.tile = {56, 56},
                                 .on_message = [&](const std::string& message) { messages.push_back(message); }};
  for (int k = 1; k <= 12; ++k) {
    CAPTURE(k);
    messages.clear();
    device->arena().fail_at(k);
    REQUIRE(predict(network, image, options).data == expected.data);
    REQUIRE(messages.size() == 1);
    REQUIRE(messages[0].starts_with("tiles of 56 x 56 px do not fit into memory, going on with "));
    device->arena().fail_at(k, true);
    REQUIRE_THROWS_AS(predict(network, image, options), OutOfMemory);
    device->arena().fail_at(0);
    REQUIRE(device->arena().bytes_in_use() == before);
  }
}
