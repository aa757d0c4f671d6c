#include <cmath>
#include <numbers>

#include "kernels/mirror.h"
#include "kernels/philox.h"
#include "tests/catch.h"
#include "unet/inference.h"

namespace unet {
namespace {

Image random_image(int64_t height, int64_t width) {
  Image image(height, width);
  for (size_t i = 0; i < image.data.size(); ++i) {
    image.data[i] = kernels::uniform(kernels::philox({.seed = 3}, i).word[0]) - 0.5F;
  }
  return image;
}

Network make_network(const NetworkConfig& config) {
  return {engine::Device::make({.threads = 2, .convolution = kernels::ConvolutionMode::direct}), config, 7};
}

/// Bilinear value of one channel between pixels; the image is continued by mirroring.
double between(const Image& image, double y, double x, int64_t c) {
  const double row = std::floor(y), column = std::floor(x);
  double sum = 0;
  for (const int64_t dy : {0, 1}) {
    for (const int64_t dx : {0, 1}) {
      const double wy = dy == 0 ? 1 - (y - row) : y - row, wx = dx == 0 ? 1 - (x - column) : x - column;
      sum += wy * wx *
             double{image.at(mirror(static_cast<int64_t>(row) + dy, image.height),
                             mirror(static_cast<int64_t>(column) + dx, image.width), c)};
    }
  }
  return sum;
}

/// Probability of class 1 from the mean over seven large turned images, each predicted with one tile.
Image seven_rotations(const Network& network, const Image& image, AverageOf average_of) {
  const int64_t half = 64;  // a multiple of 2^depth, so that pooling windows lie as those of the program
  Image sum(image.height, image.width);
  for (int k = 0; k < 7; ++k) {
    const double angle = k * 2 * std::numbers::pi / 7, c = std::cos(angle), s = std::sin(angle);
    Image turned(2 * half, 2 * half);
    for (int64_t v = 0; v < 2 * half; ++v) {
      for (int64_t u = 0; u < 2 * half; ++u) {
        const auto dv = static_cast<double>(v - half), du = static_cast<double>(u - half);
        turned.at(v, u) = static_cast<float>(between(image, static_cast<double>(image.height / 2) + c * dv - s * du,
                                                     static_cast<double>(image.width / 2) + s * dv + c * du, 0));
      }
    }
    Image value = predict(network, turned, {.tile = {168, 168}});
    if (average_of == AverageOf::scores) {
      for (size_t i = 0; i < value.data.size(); i += 2) {
        value.data[i + 1] = static_cast<float>(std::log(double{value.data[i + 1]} / value.data[i]));
      }
    }
    for (int64_t y = 0; y < image.height; ++y) {
      for (int64_t x = 0; x < image.width; ++x) {
        const auto dy = static_cast<double>(y - image.height / 2), dx = static_cast<double>(x - image.width / 2);
        sum.at(y, x) += static_cast<float>(between(value, half + c * dy + s * dx, half + c * dx - s * dy, 1) / 7);
      }
    }
  }
  if (average_of == AverageOf::scores) {
    for (float& v : sum.data) v = 1 / (1 + std::exp(-v));
  }
  return sum;
}

}  // namespace

TEST_CASE("averaging: seven rotations are those of large turned images, and do not depend on tiles") {
  const Network network = make_network({.depth = 2, .width = 8});
  for (const Size size : {Size{50, 61}, Size{1, 7}, Size{32, 32}}) {
    const Image image = random_image(size.height, size.width);
    for (const AverageOf average_of : {AverageOf::scores, AverageOf::probabilities}) {
      CAPTURE(size.height, size.width, static_cast<int>(average_of));
      const Image expected = seven_rotations(network, image, average_of);
      const InferenceOptions options{.tile = {60, 60}, .averaging = Averaging::rot7, .average_of = average_of};
      const Image got = predict(network, image, options);
      for (int64_t y = 0; y < size.height; ++y) {
        for (int64_t x = 0; x < size.width; ++x) {
          REQUIRE(double{got.at(y, x, 1)} == Approx(double{expected.at(y, x)}).margin(2e-5));
          REQUIRE(got.at(y, x, 0) + got.at(y, x, 1) == Approx(1).epsilon(1e-5));
        }
      }
      InferenceOptions other = options;
      other.tile = {124, 108};
      REQUIRE(predict(network, image, other).data == got.data);
      other.tile = {60, 76}, other.batch = 3;
      REQUIRE(predict(network, image, other).data == got.data);
    }
  }
}

TEST_CASE("averaging: rotations change the result, and scores and probabilities average differently") {
  const Network network = make_network({.depth = 1, .width = 8});
  const Image image = random_image(40, 40);
  const Image plain = predict(network, image);
  for (const Averaging averaging : {Averaging::flips, Averaging::d4, Averaging::rot7}) {
    const Image scores = predict(network, image, {.averaging = averaging});
    const Image probabilities =
        predict(network, image, {.averaging = averaging, .average_of = AverageOf::probabilities});
    CHECK(scores.data != plain.data);
    CHECK(scores.data != probabilities.data);
  }
}

TEST_CASE("averaging: batches of tiles give the same bits as single ones") {
  const Network network = make_network({.depth = 2, .width = 8});
  const Image image = random_image(70, 90);
  for (const Averaging averaging : {Averaging::none, Averaging::d4}) {
    const Image single = predict(network, image, {.tile = {60, 60}, .averaging = averaging});
    for (const int64_t batch : {2, 5, 1000}) {
      CHECK(predict(network, image, {.tile = {60, 60}, .averaging = averaging, .batch = batch}).data == single.data);
    }
  }
  CHECK_THROWS_AS(predict(network, image, {.batch = 0}), ConfigError);
}

TEST_CASE("averaging: a batch that does not fit into memory is halved") {
  const auto device = engine::Device::make({.threads = 2, .convolution = kernels::ConvolutionMode::direct});
  const Network network(device, {.depth = 2, .width = 16}, 7);
  const Image image = random_image(200, 200);
  std::vector<std::string> messages;
  InferenceOptions options{.tile = {92, 92}, .on_message = [&](const std::string& m) { messages.push_back(m); }};
  const Image single = predict(network, image, options);
  const size_t resting = device->arena().bytes_in_use();
  device->arena().set_limit(resting + 3 * (device->arena().peak_bytes() - resting));
  options.batch = 16;
  CHECK(predict(network, image, options).data == single.data);
  REQUIRE_FALSE(messages.empty());
  CHECK(messages.front().find("batches of 16 tiles do not fit into memory, going on with 8") == 0);
  CHECK(messages.back().find("tiles of") == std::string::npos);
}

}  // namespace unet
