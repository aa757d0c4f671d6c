// The two networks before the U-Net, and how they are compared with it.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "benchmarks/baselines/crop.h"
#include "benchmarks/baselines/fcn.h"
#include "benchmarks/baselines/method.h"
#include "engine/conv2d.h"
#include "engine/conv_transpose2d.h"
#include "engine/softmax.h"
#include "engine/softmax_cross_entropy.h"
#include "tests/catch.h"
#include "tests/engine/support.h"
#include "tests/unet/training_support.h"
#include "unet/metrics.h"

using namespace unet;
using namespace unet::baselines;
using engine::Shape;
using engine::Tensor;
using test::random_labels;
using test::random_tensor;
using test::reference_device;

namespace {

std::vector<Tensor> values_of(const engine::ParameterList& parameters) {
  std::vector<Tensor> values;
  for (const auto& p : parameters) values.push_back(p.value);
  return values;
}

Tensor named(const engine::ParameterList& parameters, const std::string& name) {
  const auto found = std::find_if(parameters.begin(), parameters.end(), [&](const auto& p) { return p.name == name; });
  REQUIRE(found != parameters.end());
  return found->value;
}

/// Small whole numbers in no order.
std::vector<float> whole_numbers(int64_t count, float factor = 1) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = factor * static_cast<float>((7 * i * i + 3 * i) % 31);
  return values;
}

/// Patches of 9 px with one convolution.
PatchClassifierConfig nine_px() { return {.filters = {4}, .last_side = 3, .maps = 8, .hidden = 16}; }

/// A tile whose gray values tell where they lie, 1000 y + x, with labels about the middle; every fifth is ignored.
Sample position_sample(int64_t side, int64_t out) {
  Sample sample{Image(side, side), LabelMap(out, out), Image(out, out)};
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t x = 0; x < side; ++x) sample.image.at(y, x) = static_cast<float>(1000 * y + x);
  }
  for (int64_t i = 0; i < out * out; ++i) {
    sample.labels.data[static_cast<size_t>(i)] = i % 5 == 0 ? -1 : static_cast<int32_t>(i % 7 == 0);
  }
  return sample;
}

}  // namespace

TEST_CASE("centre_crop: the middle, and a gradient of zeros around it") {
  const auto device = reference_device();
  const Tensor x = Tensor::from(device, Shape{2, 4, 7, 3}, whole_numbers(2 * 4 * 7 * 3));
  const std::vector<float> all = x.to_vector(), middle = centre_crop(x, 2, 4).to_vector();
  size_t i = 0;
  for (size_t n = 0; n < 2; ++n) {
    for (size_t row = 1; row < 3; ++row) {
      for (size_t column = 1; column < 5; ++column) {
        for (size_t c = 0; c < 3; ++c) CHECK(middle[i++] == all[((n * 4 + row) * 7 + column) * 3 + c]);
      }
    }
  }
  CHECK(i == middle.size());
  CHECK_THROWS_AS(centre_crop(x, 5, 4), ShapeError);
  CHECK_THROWS_AS(centre_crop(x, 4, 8), ShapeError);
  CHECK_THROWS_AS(crop(x, 3, 0, 2, 1), ShapeError);
  CHECK_THROWS_AS(crop(x, 0, -1, 2, 1), ShapeError);

  const Tensor z = random_tensor(device, Shape{2, 6, 5, 2}, 1);
  const Tensor labels = random_labels(device, Shape{2, 3, 4, 1}, 2, 2);
  test::check_gradients({z}, [&] { return engine::softmax_cross_entropy(centre_crop(z, 3, 4), labels); });
}

TEST_CASE("multiply-adds: counted by hand, shared work once") {
  const auto device = engine::Device::make({.threads = 1});
  const auto filter = [&](const Shape& shape) { return Tensor::zeros(device, shape).set_requires_grad(); };
  const Tensor x = Tensor::zeros(device, Shape{2, 8, 9, 3});
  const Tensor a = engine::conv2d(x, filter(Shape{4, 3, 3, 3}), {});
  CHECK(count_multiply_adds(a) == 2 * 6 * 7 * (4 * 3 * 3 * 3));
  const Tensor up = engine::conv_transpose2d(a, filter(Shape{5, 2, 2, 4}), {});
  const int64_t until_up = 2 * 6 * 7 * (4 * 3 * 3 * 3 + 5 * 2 * 2 * 4);
  CHECK(count_multiply_adds(up) == until_up);
  const Tensor both = engine::conv2d(centre_crop(up, 6, 7), filter(Shape{2, 1, 1, 9}), {}, {.x2 = a});
  CHECK(count_multiply_adds(both) == until_up + 2 * 6 * 7 * (2 * 9));
  CHECK(count_multiply_adds(x) == 0);
}

TEST_CASE("fcn: the sizes of a U-Net, and its parameters by hand") {
  const auto device = engine::Device::make({.threads = 2});
  const Fcn fcn(device, {.depth = 3, .width = 16}, 1);
  const int64_t encoder = (9 + 1) * 16 + (144 + 1) * 16 + (144 + 1) * 32 + (288 + 1) * 32 + (288 + 1) * 64 +
                          (576 + 1) * 64 + (576 + 1) * 128 + (1152 + 1) * 128;
  const int64_t scores = 2 * (16 + 1) + 2 * (32 + 1) + 2 * (128 + 1);
  const int64_t enlargements = 3 * (2 * (2 * 4 + 1) + 2 * (2 * 9 + 1));
  CHECK(engine::count_elements(fcn.parameters()) == encoder + scores + enlargements);

  const TileRule rule(3);
  for (const auto& [h, w] : {std::pair<int64_t, int64_t>{100, 108}, {rule.smallest_input(), 116}}) {
    const Tensor y = fcn.forward(Tensor::zeros(device, Shape{1, h, w, 1}));
    CHECK(y.shape() == Shape{1, rule.output(h), rule.output(w), 2});
  }
  CHECK_THROWS_AS(fcn.forward(Tensor::zeros(device, Shape{1, 101, 108, 1})), ShapeError);
}

TEST_CASE("fcn: scores are enlarged by bilinear interpolation before anything is learned") {
  const auto device = engine::Device::make({.threads = 1});
  const engine::ParameterList parameters = Fcn(device, {.classes = 3, .depth = 1, .width = 2}, 1).parameters();
  constexpr int64_t h = 5, w = 6, classes = 3;
  const std::vector<float> scores = whole_numbers(h * w * classes, 16);  // sixteenths stay exact
  const Tensor up =
      engine::conv_transpose2d(Tensor::from(device, Shape{1, h, w, classes}, scores),
                               named(parameters, "enlarge.0.up.weight"), named(parameters, "enlarge.0.up.bias"));
  const Tensor y =
      engine::conv2d(up, named(parameters, "enlarge.0.smooth.weight"), named(parameters, "enlarge.0.smooth.bias"));
  REQUIRE(y.shape() == Shape{1, 2 * h - 2, 2 * w - 2, classes});
  const std::vector<float> enlarged = y.to_vector();
  // Output pixel i lies at (i + 0.5) / 2 + 0.5 - 0.5 input pixels: a quarter before or behind a pixel.
  for (int64_t row = 0; row < 2 * h - 2; ++row) {
    for (int64_t column = 0; column < 2 * w - 2; ++column) {
      const int64_t top = row / 2, left = column / 2;
      const float down = row % 2 == 0 ? 0.25F : 0.75F, right = column % 2 == 0 ? 0.25F : 0.75F;
      for (int64_t c = 0; c < classes; ++c) {
        const auto at = [&](int64_t r, int64_t q) { return scores[static_cast<size_t>((r * w + q) * classes + c)]; };
        const float expected = (1 - down) * ((1 - right) * at(top, left) + right * at(top, left + 1)) +
                               down * ((1 - right) * at(top + 1, left) + right * at(top + 1, left + 1));
        CHECK(enlarged[static_cast<size_t>((row * (2 * w - 2) + column) * classes + c)] == expected);
      }
    }
  }
}

TEST_CASE("fcn: gradients flow through every skip, finite differences in double") {
  const auto device = reference_device();
  const Fcn fcn(device, {.depth = 2, .width = 1}, 3, DType::f64);
  const int64_t side = TileRule(2).smallest_input(), out = TileRule(2).output(side);
  const Tensor x = random_tensor(device, Shape{1, side, side, 1}, 1);
  const Tensor labels = random_labels(device, Shape{1, out, out, 1}, 2, 2);
  test::check_gradients(values_of(fcn.parameters()),
                        [&] { return engine::softmax_cross_entropy(fcn.forward(x), labels); });
}

TEST_CASE("patch classifier: the published network's side, parameters and work") {
  const PatchClassifierConfig published;
  CHECK(published.side() == 95);
  CHECK(PatchClassifierConfig::small(16).side() == 65);
  const auto device = engine::Device::make({.threads = 2});
  const PatchClassifier n4(device, published, 1);
  CHECK(engine::count_elements(n4.parameters()) ==
        (16 + 1) * 48 + (25 * 48 + 1) * 48 + 2 * (16 * 48 + 1) * 48 + (9 * 48 + 1) * 200 + (200 + 1) * 2);
  const Tensor y = n4.forward(Tensor::zeros(device, Shape{3, 95, 95, 1}));
  CHECK(y.shape() == Shape{3, 1, 1, 2});
  CHECK(count_multiply_adds(y) == 3 * (92 * 92 * 16 * 48 + 42 * 42 * 25 * 48 * 48 + 18 * 18 * 16 * 48 * 48 +
                                       6 * 6 * 16 * 48 * 48 + 9 * 48 * 200 + 200 * 2));
  CHECK_THROWS_AS(n4.forward(Tensor::zeros(device, Shape{3, 95, 97, 1})), ShapeError);

  PatchClassifierConfig even = nine_px();
  even.filters = {3};
  CHECK_THROWS_AS(PatchClassifier(device, even, 1), ConfigError);
  PatchClassifierConfig none = nine_px();
  none.maps = 0;
  CHECK_THROWS_AS(PatchClassifier(device, none, 1), ConfigError);
}

TEST_CASE("patch classifier: gradients, finite differences in double") {
  const auto device = reference_device();
  const PatchClassifier classifier(device, {.filters = {2, 2}, .last_side = 2, .maps = 2, .hidden = 3}, 4, DType::f64);
  const int64_t side = classifier.config().side();
  const Tensor x = random_tensor(device, Shape{4, side, side, 1}, 1);
  const Tensor labels = random_labels(device, Shape{4, 1, 1, 1}, 2, 2);
  test::check_gradients(values_of(classifier.parameters()),
                        [&] { return engine::softmax_cross_entropy(classifier.forward(x), labels); });
}

TEST_CASE("patch classifier: a part of a page is every one of its pixels alone, continued by mirroring") {
  const auto device = engine::Device::make({.threads = 2, .convolution = kernels::ConvolutionMode::direct});
  const PatchClassifier classifier(device, nine_px(), 1);
  Image image(12, 14);
  image.data = whole_numbers(12 * 14, 1.0F / 31);
  const Rect part{.y = 3, .x = 2, .height = 9, .width = 12};  // to the lower right corner
  const Image all = segment_by_patches(classifier, image, part, 7);
  REQUIRE(all.shape_text() == "[9,12,2]");
  CHECK(segment_by_patches(classifier, image, part, 1000).data == all.data);
  CHECK_THROWS_AS(segment_by_patches(classifier, image, part, 0), ConfigError);
  const engine::NoGrad no_grad(*device);
  for (int64_t y = 0; y < part.height; ++y) {
    for (int64_t x = 0; x < part.width; ++x) {
      std::vector<float> patch;
      for (int64_t row = -4; row <= 4; ++row) {
        for (int64_t column = -4; column <= 4; ++column) {
          patch.push_back(image.at(mirror(part.y + y + row, 12), mirror(part.x + x + column, 14)));
        }
      }
      const std::vector<float> p =
          engine::softmax(classifier.forward(Tensor::from(device, Shape{1, 9, 9, 1}, patch))).to_vector();
      CHECK(p == std::vector<float>{all.at(y, x, 0), all.at(y, x, 1)});
    }
  }
}

TEST_CASE("patch classifier: work shared between patches changes nothing, and is counted") {
  const auto device = engine::Device::make({.threads = 2, .convolution = kernels::ConvolutionMode::direct});
  Image image(21, 26);
  image.data = whole_numbers(21 * 26, 1.0F / 31);
  const std::vector<PatchClassifierConfig> configs{
      nine_px(), {.filters = {4, 3}, .last_side = 2, .maps = 4, .hidden = 5}, PatchClassifierConfig::small(2)};
  for (const PatchClassifierConfig& config : configs) {
    const PatchClassifier classifier(device, config, 3);
    for (const Rect& part : {Rect{0, 0, 21, 26}, Rect{4, 3, 8, 16}, Rect{20, 7, 1, 1}}) {
      CAPTURE(config.side(), part.height, part.width);
      const Image patches = segment_by_patches(classifier, image, part, 50);
      const Image shared = classifier.segment(image, part);
      REQUIRE(shared.shape_text() == patches.shape_text());
      float largest = 0;  // sums of another order in another convolution
      for (size_t i = 0; i < patches.data.size(); ++i) {
        largest = std::max(largest, std::abs(patches.data[i] - shared.data[i]));
      }
      CHECK(largest < 1e-5F);
    }
  }
  // 9 px and 6 x 10 pixels: four fragments of 3 x 5 pixels. Input 15 x 19 px, after the convolution 12 x 16... less
  // one.
  const PatchClassifier classifier(device, nine_px(), 1);
  CHECK(classifier.multiply_adds({0, 0, 6, 10}) == 11 * 15 * (4 * 4 * 8) + 4 * 3 * 5 * (9 * 8 * 16 + 16 * 2));
}

TEST_CASE("draw_patches: windows about pixels of each class in turn, whole and labelled") {
  const auto draw = [](const Sample& sample, int64_t side, int64_t count, uint32_t step = 0) {
    RandomStream random(1, Purpose::tile_position, step);
    return draw_patches(sample, side, count, random);
  };
  for (const auto& [side, out, patch] : {std::array<int64_t, 3>{34, 18, 9}, {34, 18, 21}, {20, 20, 7}}) {
    CAPTURE(side, out, patch);
    const Sample sample = position_sample(side, out);
    const PatchBatch batch = draw(sample, patch, 40);
    REQUIRE(std::ssize(batch.patches) == 40 * patch * patch);
    REQUIRE(batch.labels.size() == 40);
    CHECK(std::accumulate(batch.labels.begin(), batch.labels.end(), 0) == 20);
    for (int64_t i = 0; i < 40; ++i) {
      const float* const window = &batch.patches[static_cast<size_t>(i * patch * patch)];
      const auto corner = static_cast<int64_t>(window[0]);
      const int64_t y = corner / 1000, x = corner % 1000, to_label = patch / 2 - (side - out) / 2;
      REQUIRE((y + patch <= side && x + patch <= side));
      CHECK(static_cast<int64_t>(window[patch * patch - 1]) == corner + 1001 * (patch - 1));
      CHECK(sample.labels.at(y + to_label, x + to_label) == batch.labels[static_cast<size_t>(i)]);
    }
    CHECK(draw(sample, patch, 40).patches == batch.patches);
    CHECK(draw(sample, patch, 40, 1).patches != batch.patches);
  }
  CHECK_THROWS_AS(draw(position_sample(34, 18), 35, 4), DataError);
  Sample unlabelled = position_sample(34, 18);
  for (int32_t& label : unlabelled.labels.data) label = -1;
  CHECK_THROWS_AS(draw(unlabelled, 9, 4), DataError);
}

TEST_CASE("baselines: each method learns discs, the same bits from the same seed") {
  TrainingConfig config = test::small_config();
  config.tile.batch = 1;
  const TrainingSet set = test::small_set(config);
  const auto make = [&](size_t i) {
    const auto device = engine::Device::make({.threads = 1});
    if (i == 0) return unet_method(device, config);
    if (i == 1) return fcn_method(device, config);
    return patch_method(device, config, nine_px(), {.training = 32, .inference = 64});
  };
  const auto bits = [](const Method& method) {
    std::vector<float> all;
    for (const Tensor& t : values_of(method.parameters)) {
      const std::vector<float> v = t.to_vector();
      all.insert(all.end(), v.begin(), v.end());
    }
    return all;
  };
  for (size_t i = 0; i < 3; ++i) {
    const Method method = make(i), again = make(i);
    CAPTURE(method.name);
    train(method, set.training, config, 5, 0);
    train(again, set.training, config, 5, 0);
    CHECK(bits(method) == bits(again));

    const TrainingCost cost = train(again, set.training, config, 80, 0);
    CHECK(cost.steps == 80);
    CHECK(cost.time.cpu_s > 0);
    const TrainingPage& page = set.validation.front();
    Image image = page.image;
    for (float& v : image.data) v -= page.centre;
    const Rect whole{0, 0, image.height, image.width}, part{6, 10, 20, 30};  // even: pooling windows as on the page
    const Image p = again.segment(image, whole);
    ConfusionMatrix confusion(2);
    confusion.add_probabilities(p, page.classes);
    CHECK(confusion.mean_iou() > 0.7);
    CHECK(again.multiply_adds(whole) > again.multiply_adds(part));
    const Image some = again.segment(image, part);
    REQUIRE(some.shape_text() == "[20,30,2]");
    float largest = 0;
    for (int64_t y = 0; y < part.height; ++y) {
      for (int64_t x = 0; x < part.width; ++x) {
        largest = std::max(largest, std::abs(some.at(y, x, 1) - p.at(part.y + y, part.x + x, 1)));
      }
    }
    CHECK(largest < 1e-4);
  }
}

TEST_CASE("baselines: training ends with its steps or its time, whichever is first") {
  TrainingConfig config = test::small_config();
  const TrainingSet set = test::small_set(config);
  const Method method = fcn_method(engine::Device::make({.threads = 1}), config);
  CHECK(train(method, set.training, config, 3, 1000).steps == 3);
  const TrainingCost timed = train(method, set.training, config, 0, 0.05);
  CHECK(timed.steps > 0);
  CHECK(timed.time.cpu_s >= 0.05);
  CHECK_THROWS_AS(train(method, set.training, config, 0, 0), ConfigError);
  config.optimizer.kind = OptimizerKind::sgd;
  CHECK_THROWS_AS(train(method, set.training, config, 3, 0), ConfigError);
}
