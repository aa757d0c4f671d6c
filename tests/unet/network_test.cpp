#include "unet/network.h"

#include <cmath>
#include <span>

#include "engine/autograd.h"
#include "engine/safetensors.h"
#include "engine/sgd.h"
#include "engine/softmax_cross_entropy.h"
#include "tests/catch.h"
#include "tests/engine/support.h"

using namespace unet;
using engine::Shape;
using engine::Tensor;

namespace {

const NetworkConfig kPaper{};
const NetworkConfig kRelease{.up_relu = true, .last_up_channels = 128, .upconv_fan = UpconvFan::release};

std::shared_ptr<engine::Device> device_of(kernels::Target target, int threads = 2) {
  return engine::Device::make({.target = target, .threads = threads});
}

/// Expected values made by PyTorch; see tests/fixtures/README.md.
class Golden {
 public:
  explicit Golden(const std::string& name) : file_(std::string(UNET_SOURCE_DIR) + "/tests/fixtures/" + name) {}

  template <class T = float>
  std::vector<T> values(const std::string& name) const {
    const auto* entry = file_.find(name);
    if (entry == nullptr) throw Error("golden: no tensor " + name);
    std::vector<T> out(entry->bytes / sizeof(T));
    file_.read(name, std::as_writable_bytes(std::span(out)));
    return out;
  }
  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  Shape shape(const std::string& name) const { return Shape(std::span<const int64_t>(file_.find(name)->shape)); }
  Tensor tensor(const std::shared_ptr<engine::Device>& device, const std::string& name, DType dtype) const {
    const auto v = values(name);
    if (dtype == DType::f64) return Tensor::from(device, shape(name), std::vector<double>(v.begin(), v.end()));
    return Tensor::from(device, shape(name), v);
  }

 private:
  engine::SafetensorsFile file_;
};

/// Largest difference relative to the largest expected value.
double difference(const std::vector<double>& got, const std::vector<float>& expected) {
  REQUIRE(got.size() == expected.size());
  double worst = 0, largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double d = std::abs(got[i] - double{expected[i]});
    worst = d <= worst ? worst : d;  // a NaN stays
    largest = std::max(largest, std::abs(double{expected[i]}));
  }
  return worst / largest;
}

void check_against_golden(const std::string& file, const NetworkConfig& config, kernels::Target target, DType dtype,
                          double tolerance) {
  INFO(file << " on " << kernels::name_of(target) << " in " << name_of(dtype));
  const Golden golden(file);
  const auto device = device_of(target);
  const Network network(device, config, 1, dtype);
  const engine::ParameterList parameters = network.parameters();
  for (const auto& p : parameters) {
    const auto v = golden.values(p.name);
    REQUIRE(p.value.shape() == golden.shape(p.name));
    p.value.assign(v);
  }
  const Tensor x = golden.tensor(device, "input", dtype);
  const Tensor labels = Tensor::from(device, golden.shape("labels"), golden.values<int32_t>("labels"));
  const Tensor weights = Tensor::from(device, golden.shape("weights"), golden.values("weights"));

  const Tensor logits = network.forward(x, dtype);
  CHECK(difference(logits.to_double(), golden.values("logits")) <= tolerance);
  const Tensor loss = engine::softmax_cross_entropy(logits, labels, weights);
  CHECK(loss.item() == Approx(golden.values("loss")[0]).epsilon(tolerance));
  engine::backward(loss);
  for (const auto& p : parameters) {
    INFO(p.name);
    CHECK(difference(p.value.grad().to_double(), golden.values("gradient." + p.name)) <= tolerance);
  }

  if (!golden.has("updated_losses")) return;
  engine::clear_gradients(parameters);
  engine::Sgd sgd(parameters);
  for (int step = 0; step < 3; ++step) {
    engine::backward(engine::softmax_cross_entropy(network.forward(x, dtype), labels, weights));
    sgd.step(1e-3);
    engine::clear_gradients(parameters);
  }
  for (const auto& p : parameters) {
    INFO(p.name);
    CHECK(difference(p.value.to_double(), golden.values("updated." + p.name)) <= tolerance);
  }
}

}  // namespace

TEST_CASE("network: parameter counts of the paper and of the authors' release") {
  const auto device = device_of(kernels::Target::cpu);
  CHECK(engine::count_elements(Network(device, kPaper, 1).parameters()) == 31030658);
  CHECK(engine::count_elements(Network(device, kRelease, 1).parameters()) == 31100354);
  CHECK(Network(device, kPaper, 1).parameters().size() == 2 * 23);
}

TEST_CASE("network: golden forward pass and gradients from PyTorch, both wirings") {
  const NetworkConfig paper{.depth = 2, .width = 4};
  const NetworkConfig release{.depth = 2, .width = 4, .up_relu = true, .last_up_channels = 8};
  const NetworkConfig deep{.depth = 4, .width = 1, .up_relu = true, .last_up_channels = 2};
  for (const auto& [file, config] :
       {std::pair{"unet_paper_depth2.safetensors", paper}, std::pair{"unet_release_depth2.safetensors", release},
        std::pair{"unet_release_depth4.safetensors", deep}}) {
    check_against_golden(file, config, kernels::Target::reference, DType::f64, 1e-6);  // the fixture is f32
    check_against_golden(file, config, kernels::Target::cpu, DType::f32, 5e-5);
  }
}

TEST_CASE("network: a planted swap of skip and upsampled channels is found by the golden values") {
  const Golden golden("unet_paper_depth2.safetensors");
  const auto device = device_of(kernels::Target::reference);
  const Network network(device, {.depth = 2, .width = 4}, 1, DType::f64);
  for (const auto& p : network.parameters()) {
    auto v = golden.values(p.name);
    if (p.name == "decoder.0.conv1.weight") {
      for (size_t i = 0; i < v.size(); i += 8) std::swap_ranges(v.begin() + i, v.begin() + i + 4, v.begin() + i + 4);
    }
    p.value.assign(v);
  }
  const Tensor logits = network.forward(golden.tensor(device, "input", DType::f64), DType::f64);
  CHECK(difference(logits.to_double(), golden.values("logits")) > 1e-2);
}

TEST_CASE("network: finite differences through the whole graph in double") {
  const auto device = test::reference_device();
  const Network network(device, {.depth = 1, .width = 2, .dropout = 0.3}, 3, DType::f64);
  const Tensor x = test::random_tensor(device, Shape{1, 20, 22, 1}, 4);
  const Tensor labels = test::random_labels(device, Shape{1, 4, 6, 1}, 2, 5);
  const kernels::PhiloxKey key{.seed = 1, .purpose = 9, .step = 1};
  std::vector<Tensor> inputs{x};
  for (const auto& p : network.parameters()) inputs.push_back(p.value);
  test::check_gradients(
      inputs, [&] { return engine::softmax_cross_entropy(network.forward(x, DType::f64, &key), labels); }, 1e-5);
}

TEST_CASE("network: initial weights have the deviation of the formula, biases are zero") {
  const auto device = device_of(kernels::Target::cpu);
  const auto check = [&](const NetworkConfig& config, const std::string& name, double expected) {
    const Network network(device, config, 11);
    for (const auto& p : network.parameters()) {
      if (p.name.ends_with(".bias")) {
        for (const float b : p.value.to_vector()) REQUIRE(b == 0);
      }
      if (p.name != name) continue;
      double sum = 0, squares = 0;
      const auto v = p.value.to_vector();
      for (const double w : v) sum += w, squares += w * w;
      const auto n = static_cast<double>(v.size());
      CHECK(std::abs(sum / n) < 5 * expected / std::sqrt(n));
      CHECK(std::sqrt(squares / n) == Approx(expected).epsilon(5 / std::sqrt(2 * n)));
    }
  };
  check(kPaper, "encoder.0.conv1.weight", std::sqrt(2.0 / 9));
  check(kPaper, "encoder.0.conv2.weight", std::sqrt(2.0 / 576));
  check(kPaper, "decoder.3.up.weight", 0.04419417382);  // 1024 -> 512: N = C_in
  check(kRelease, "decoder.3.up.weight", 0.03125);      // N = 4 C_out
  NetworkConfig conv2x2 = kPaper;
  conv2x2.upconv_fan = UpconvFan::conv2x2;
  check(conv2x2, "decoder.3.up.weight", 0.02209708691);
  check(kPaper, "head.weight", std::sqrt(2.0 / 64));
}

TEST_CASE("network: tiles that do not fit are refused with the nearest that do") {
  const auto device = device_of(kernels::Target::cpu);
  const Network network(device, {.width = 2}, 1);
  const auto text_of = [&](int64_t height, int64_t width, int64_t channels) -> std::string {
    try {
      network.forward(Tensor::zeros(device, Shape{1, height, width, channels}), DType::f32);
    } catch (const ShapeError& e) {
      return e.what();
    }
    return "";
  };
  CHECK(text_of(570, 572, 1).find("572") != std::string::npos);
  CHECK(text_of(188, 100, 1).find("188") != std::string::npos);
  CHECK(text_of(188, 188, 3).find("1 channels") != std::string::npos);
  CHECK(text_of(188, 188, 1).empty());
}

TEST_CASE("network: no memory is requested after the first training step, and none leaks") {
  const auto device = device_of(kernels::Target::cpu);
  const Network network(device, {.depth = 2, .width = 8}, 1);
  engine::Sgd sgd(network.parameters());
  const Tensor x = Tensor::zeros(device, Shape{1, 60, 60, 1});
  const Tensor labels = Tensor::zeros(device, Shape{1, 20, 20, 1}, DType::i32);
  const auto step = [&](uint32_t i) {
    const kernels::PhiloxKey key{.seed = 1, .purpose = 9, .step = i};
    engine::backward(engine::softmax_cross_entropy(network.forward(x, DType::f32, &key), labels));
    sgd.step(1e-3);
    engine::clear_gradients(sgd.parameters());
  };
  step(0);
  const int64_t growths = device->arena().growths();
  const size_t in_use = device->arena().bytes_in_use();
  for (uint32_t i = 1; i < 6; ++i) step(i);
  CHECK(device->arena().growths() == growths);
  CHECK(device->arena().bytes_in_use() == in_use);
}

TEST_CASE("network: an allocation that fails anywhere in a step leaves no memory behind") {
  const auto device = device_of(kernels::Target::cpu);
  const Network network(device, {.depth = 1, .width = 8}, 1);
  const engine::ParameterList parameters = network.parameters();
  const Tensor x = Tensor::zeros(device, Shape{1, 22, 22, 1});
  const Tensor labels = Tensor::zeros(device, Shape{1, 6, 6, 1}, DType::i32);
  const auto step = [&] {
    engine::backward(engine::softmax_cross_entropy(network.forward(x, DType::f32), labels));
    engine::clear_gradients(parameters);
  };
  step();
  const size_t in_use = device->arena().bytes_in_use();
  int64_t k = 1;
  for (bool failed = true; failed; ++k) {
    device->arena().fail_at(k);
    failed = false;
    try {
      step();
    } catch (const OutOfMemory&) {
      failed = true;
    }
    device->arena().fail_at(0);
    engine::clear_gradients(parameters);
    REQUIRE(device->arena().bytes_in_use() == in_use);
  }
  CHECK(k > 20);  // a step makes many allocations, and each was made to fail
}

TEST_CASE("network: training is the same bit for bit, run to run, for each number of threads") {
  const auto train = [](int threads) {
    const auto device = device_of(kernels::Target::cpu, threads);
    const Network network(device, {.depth = 2, .width = 8}, 5);
    engine::Sgd sgd(network.parameters());
    std::vector<float> pixels(60 * 60);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = kernels::uniform(kernels::philox({.seed = 2}, i).word[0]);
    const Tensor x = Tensor::from(device, Shape{1, 60, 60, 1}, pixels);
    const Tensor labels = test::random_labels(device, Shape{1, 20, 20, 1}, 2, 3);
    for (uint32_t i = 0; i < 4; ++i) {
      const kernels::PhiloxKey key{.seed = 1, .purpose = 9, .step = i};
      engine::backward(engine::softmax_cross_entropy(network.forward(x, DType::f32, &key), labels));
      sgd.step(1e-3);
      engine::clear_gradients(sgd.parameters());
    }
    std::vector<float> all;
    for (const auto& p : sgd.parameters()) {
      const auto v = p.value.to_vector();
      all.insert(all.end(), v.begin(), v.end());
    }
    return all;
  };
  for (const int threads : {1, 2}) CHECK(train(threads) == train(threads));
}
