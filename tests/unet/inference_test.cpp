#include "unet/inference.h"

#include <algorithm>
#include <cmath>

#include "kernels/philox.h"
#include "tests/catch.h"

using namespace unet;

namespace {

Image random_image(int64_t height, int64_t width, int64_t channels = 1) {
  Image image(height, width, channels);
  for (size_t i = 0; i < image.data.size(); ++i) {
    image.data[i] = kernels::uniform(kernels::philox({.seed = 3}, i).word[0]) - 0.5F;
  }
  return image;
}

Network make_network(kernels::ConvolutionMode mode, const NetworkConfig& config) {
  return {engine::Device::make({.threads = 2, .convolution = mode}), config, 7};
}

/// One tile that covers the whole image.
Image one_shot(const Network& network, const Image& image) {
  const TileRule rule(static_cast<int>(network.config().depth));
  return predict(network, image, {.tile = {rule.input_covering(image.height), rule.input_covering(image.width)}});
}

/// Largest difference of scores: log(p1/p0) is their difference for two classes.
double score_difference(const Image& a, const Image& b) {
  double worst = 0, largest = 0;
  for (size_t i = 0; i < a.data.size(); i += 2) {
    const double sa = std::log(double{a.data[i + 1]} / a.data[i]), sb = std::log(double{b.data[i + 1]} / b.data[i]);
    worst = std::max(worst, std::abs(sa - sb));
    largest = std::max(largest, std::abs(sb));
  }
  return worst / largest;
}

const std::vector<Size> kSizes{{1, 1},   {1, 50},   {50, 1},  {2, 2},    {3, 7},    {17, 5},    {31, 33},
                               {40, 40}, {41, 39},  {60, 61}, {64, 64},  {77, 101}, {100, 100}, {99, 130},
                               {128, 1}, {13, 200}, {90, 91}, {111, 57}, {150, 83}, {121, 160}};

}  // namespace

TEST_CASE("inference: tiled output equals one-shot output bit for bit in direct mode, 20 sizes") {
  const Network network = make_network(kernels::ConvolutionMode::direct, {.depth = 2, .width = 16});
  REQUIRE(kSizes.size() == 20);
  for (const Size& size : kSizes) {
    CAPTURE(size.height, size.width);
    const Image image = random_image(size.height, size.width);
    const Image whole = one_shot(network, image);
    REQUIRE(whole.height == size.height);
    REQUIRE(whole.width == size.width);
    for (const Size tile : {Size{60, 60}, Size{64, 76}, Size{92, 60}}) {
      const Image tiled = predict(network, image, {.tile = tile});
      REQUIRE(tiled.data == whole.data);
    }
  }
}

TEST_CASE("inference: tiled output stays within 1e-5 of the largest score in fast mode, 20 sizes") {
  const Network network = make_network(kernels::ConvolutionMode::fast, {.depth = 2, .width = 16});
  for (const Size& size : kSizes) {
    CAPTURE(size.height, size.width);
    const Image image = random_image(size.height, size.width);
    CHECK(score_difference(predict(network, image, {.tile = {64, 76}}), one_shot(network, image)) <= 1e-5);
  }
}

TEST_CASE("inference: depth four and several channels and classes, direct and in bf16") {
  const Network network =
      make_network(kernels::ConvolutionMode::direct, {.in_channels = 3, .classes = 4, .depth = 4, .width = 8});
  const Image image = random_image(75, 90, 3);
  for (const DType precision : {DType::f32, DType::bf16}) {
    const Image whole = predict(network, image, {.tile = {268, 284}, .precision = precision});
    CHECK(predict(network, image, {.tile = {220, 236}, .precision = precision}).data == whole.data);
    for (int64_t i = 0; i < whole.pixels(); ++i) {
      double sum = 0;
      for (int64_t c = 0; c < 4; ++c) sum += double{whole.data[static_cast<size_t>(4 * i + c)]};
      REQUIRE(sum == Approx(1).epsilon(1e-6));
    }
  }
}

TEST_CASE("inference: a stride that breaks the phase rule gives other numbers") {
  const Network network = make_network(kernels::ConvolutionMode::direct, {.depth = 3, .width = 8});
  const Image image = random_image(150, 150);
  const Image whole = one_shot(network, image);
  CHECK(predict(network, image, {.tile = {132, 132}}).data == whole.data);
  CHECK(predict(network, image, {.tile = {132, 132}, .stride = TileStride::release}).data != whole.data);
}

TEST_CASE("inference: averaging over symmetries makes the prediction symmetric") {
  const Network network = make_network(kernels::ConvolutionMode::direct, {.depth = 1, .width = 8});
  const Image image = random_image(40, 40);
  Image turned(40, 40), flipped(40, 40);
  for (int64_t y = 0; y < 40; ++y) {
    for (int64_t x = 0; x < 40; ++x) turned.at(y, x) = image.at(x, y), flipped.at(y, x) = image.at(y, 39 - x);
  }
  const InferenceOptions d4{.tile = {56, 56}, .averaging = Averaging::d4};
  const InferenceOptions flips{.tile = {56, 56}, .averaging = Averaging::flips};
  const Image p = predict(network, image, d4), t = predict(network, turned, d4);
  const Image f = predict(network, image, flips), g = predict(network, flipped, flips);
  for (int64_t y = 0; y < 40; ++y) {
    for (int64_t x = 0; x < 40; ++x) {
      REQUIRE(p.at(y, x, 1) == Approx(t.at(x, y, 1)).margin(1e-6));
      REQUIRE(f.at(y, x, 1) == Approx(g.at(y, 39 - x, 1)).margin(1e-6));
    }
  }
  CHECK(predict(network, image, {.tile = {56, 56}}).data != p.data);
}

TEST_CASE("inference: a tile that does not fit into memory is replaced by one that does, with the same result") {
  const auto device = engine::Device::make({.threads = 2, .convolution = kernels::ConvolutionMode::direct});
  const Network network(device, {.depth = 2, .width = 16}, 7);
  const Image image = random_image(300, 300);
  const Image whole = predict(network, image, {.tile = {340, 340}});
  const size_t peak = device->arena().peak_bytes();
  device->arena().set_limit(device->arena().bytes_in_use() + (peak - device->arena().bytes_in_use()) / 3);
  CHECK(predict(network, image, {.tile = {340, 340}}).data == whole.data);

  device->arena().set_limit(device->arena().bytes_in_use() + 1000);
  CHECK_THROWS_AS(predict(network, image, {.tile = {340, 340}}), OutOfMemory);
  // The tiles of a strip are lower than the smallest square one, and longer.
  CHECK_THROWS_AS(predict(network, random_image(4, 300), {.tile = {44, 340}}), OutOfMemory);
}

TEST_CASE("inference: the estimate of a tile's memory is close to what is used") {
  for (const auto& config : {NetworkConfig{.depth = 4, .width = 16}, NetworkConfig{.depth = 2, .width = 32}}) {
    const auto device = engine::Device::make({.threads = 2, .convolution = kernels::ConvolutionMode::direct});
    const Network network(device, config, 7);
    const Image image = random_image(300, 300);
    const TileRule rule(static_cast<int>(config.depth));
    const int64_t side = rule.input_covering(300);
    predict(network, image, {.tile = {side, side}});
    device->arena().reset_peak();
    const size_t before = device->arena().bytes_in_use();
    predict(network, image, {.tile = {side, side}});
    const auto used = static_cast<double>(device->arena().peak_bytes() - before);
    const auto estimate = static_cast<double>(inference_bytes(config, {side, side}, DType::f32));
    CHECK(used <= 1.8 * estimate);
    CHECK(used >= 0.7 * estimate);
  }
}
