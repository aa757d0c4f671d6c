#include "engine/autograd.h"

#include <random>

#include "engine/add.h"
#include "engine/cast.h"
#include "engine/conv2d.h"
#include "engine/conv_transpose2d.h"
#include "engine/crop_concat.h"
#include "engine/dropout.h"
#include "engine/max_pool2d.h"
#include "engine/relu.h"
#include "engine/softmax_cross_entropy.h"
#include "tests/catch.h"
#include "tests/engine/support.h"

using namespace unet;
using namespace unet::engine;
using unet::test::check_gradients;
using unet::test::random_labels;
using unet::test::random_tensor;
using unet::test::reference_device;

TEST_CASE("gradients: every operation, finite differences in double") {
  const auto device = reference_device();
  const Tensor labels = random_labels(device, Shape{2, 4, 5, 1}, 3, 9);
  const auto loss = [&](const Tensor& y) { return softmax_cross_entropy(y, labels); };

  SECTION("conv2d with bias and ReLU") {
    const Tensor x = random_tensor(device, Shape{2, 6, 7, 2}, 1), w = random_tensor(device, Shape{3, 3, 3, 2}, 2);
    const Tensor b = random_tensor(device, Shape{3}, 3);
    check_gradients({x, w, b}, [&] { return loss(conv2d(x, w, b, {.relu = true})); });
  }
  SECTION("conv2d of two sources, the second cropped") {
    const Tensor x = random_tensor(device, Shape{2, 6, 7, 2}, 1), x2 = random_tensor(device, Shape{2, 9, 11, 3}, 4);
    const Tensor w = random_tensor(device, Shape{3, 3, 3, 5}, 2), b = random_tensor(device, Shape{3}, 3);
    check_gradients({x, x2, w, b}, [&] { return loss(conv2d(x, w, b, {.x2 = x2})); });
  }
  SECTION("conv2d as large as the image: a fully connected layer") {
    const Tensor x = random_tensor(device, Shape{2, 3, 4, 2}, 1), w = random_tensor(device, Shape{3, 3, 4, 2}, 2);
    const Tensor b = random_tensor(device, Shape{3}, 3), classes = random_labels(device, Shape{2, 1, 1, 1}, 3, 8);
    check_gradients({x, w, b}, [&] { return softmax_cross_entropy(conv2d(x, w, b), classes); });
  }
  SECTION("conv2d, pooled on the way") {
    const Tensor x = random_tensor(device, Shape{2, 10, 13, 2}, 1), w = random_tensor(device, Shape{3, 3, 3, 2}, 2);
    const Tensor b = random_tensor(device, Shape{3}, 3), v = random_tensor(device, Shape{3, 1, 1, 6}, 4);
    check_gradients({x, w, b, v}, [&] {
      Tensor pooled;
      const Tensor y = conv2d(x, w, b, {.relu = true, .pooled = &pooled});
      return loss(conv2d(pooled, v, {}, {.x2 = y}));
    });
  }
  SECTION("conv_transpose2d") {
    const Tensor x = random_tensor(device, Shape{2, 3, 3, 2}, 1), w = random_tensor(device, Shape{4, 2, 2, 2}, 2);
    const Tensor b = random_tensor(device, Shape{4}, 3), v = random_tensor(device, Shape{3, 3, 2, 4}, 5);
    check_gradients({x, w, b}, [&] { return loss(conv2d(conv_transpose2d(x, w, b, true), v, {})); });
  }
  SECTION("max_pool2d, relu, add, crop_concat") {
    const Tensor x = random_tensor(device, Shape{2, 8, 10, 2}, 1), z = random_tensor(device, Shape{2, 7, 6, 1}, 6);
    const Tensor a = random_tensor(device, Shape{2, 4, 5, 3}, 7);
    check_gradients({x, z, a}, [&] { return loss(add(relu(a), crop_concat(max_pool2d(x), z))); });
  }
  SECTION("dropout") {
    const Tensor x = random_tensor(device, Shape{2, 4, 5, 3}, 1);
    check_gradients({x}, [&] { return loss(dropout(x, 0.4, {.seed = 5, .purpose = 1, .step = 2})); });
  }
}

TEST_CASE("autograd: a tensor used twice gets the sum, full and cropped parts alike") {
  const auto device = reference_device();
  const Tensor labels = random_labels(device, Shape{1, 4, 5, 1}, 3, 9);
  const Tensor x = random_tensor(device, Shape{1, 8, 10, 3}, 1);
  const Tensor w = random_tensor(device, Shape{3, 1, 1, 6}, 2);
  // x reaches the loss through a pooling and through a centred crop, as a U-Net's skip connection does.
  check_gradients({x, w}, [&] {
    const Tensor h = relu(x);
    return softmax_cross_entropy(conv2d(max_pool2d(h), w, {}, {.x2 = h}), labels);
  });
}

TEST_CASE("autograd: the sum of more gradients than a pooling takes along") {
  const auto device = reference_device();
  const Tensor labels = random_labels(device, Shape{1, 4, 5, 1}, 3, 9);
  const Tensor x = random_tensor(device, Shape{1, 8, 10, 3}, 1);
  const Tensor w = random_tensor(device, Shape{3, 1, 1, 6}, 2), v = random_tensor(device, Shape{3, 1, 1, 6}, 3);
  check_gradients({x, w, v}, [&] {
    const Tensor h = relu(x);
    const Tensor pooled = max_pool2d(h);
    return softmax_cross_entropy(add(conv2d(pooled, w, {}, {.x2 = h}), conv2d(pooled, v, {}, {.x2 = h})), labels);
  });
}

TEST_CASE("autograd: a cropped gradient alone is embedded in zeros") {
  const auto device = reference_device();
  const Tensor labels = random_labels(device, Shape{1, 2, 2, 1}, 3, 9);
  const Tensor a = random_tensor(device, Shape{1, 2, 2, 1}, 1), x2 = random_tensor(device, Shape{1, 6, 6, 2}, 2);
  const Tensor w = random_tensor(device, Shape{3, 1, 1, 3}, 3);
  check_gradients({a, x2, w}, [&] { return softmax_cross_entropy(conv2d(a, w, {}, {.x2 = relu(x2)}), labels); });
}

TEST_CASE("autograd: gradients of a leaf add up over passes until they are cleared") {
  const auto device = reference_device();
  const Tensor labels = random_labels(device, Shape{1, 2, 3, 1}, 2, 9);
  const Tensor x = random_tensor(device, Shape{1, 2, 3, 2}, 1);
  x.set_requires_grad();
  backward(softmax_cross_entropy(x, labels));
  const auto once = x.grad().to_double();
  backward(softmax_cross_entropy(x, labels));
  const auto twice = x.grad().to_double();
  for (size_t i = 0; i < once.size(); ++i) CHECK(twice[i] == 2 * once[i]);
}

TEST_CASE("autograd: scale multiplies every gradient") {
  const auto device = reference_device();
  const Tensor labels = random_labels(device, Shape{1, 2, 3, 1}, 2, 9);
  const Tensor x = random_tensor(device, Shape{1, 2, 3, 2}, 1);
  x.set_requires_grad();
  backward(softmax_cross_entropy(x, labels));
  const auto once = x.grad().to_double();
  x.set_grad({});
  backward(softmax_cross_entropy(x, labels), 1024.0);
  const auto scaled = x.grad().to_double();
  for (size_t i = 0; i < once.size(); ++i) CHECK(scaled[i] == Approx(1024 * once[i]).epsilon(1e-14));
}

TEST_CASE("autograd: misuse is told") {
  const auto device = reference_device();
  const Tensor labels = random_labels(device, Shape{1, 2, 3, 1}, 2, 9);
  const Tensor x = random_tensor(device, Shape{1, 2, 3, 2}, 1);
  CHECK_THROWS_AS(backward(relu(x)), ShapeError);
  CHECK_THROWS_AS(backward(softmax_cross_entropy(x, labels)), Error);  // nothing requires a gradient
  x.set_requires_grad();
  const Tensor loss = softmax_cross_entropy(x, labels);
  backward(loss);
  CHECK_THROWS_AS(backward(loss), Error);  // used up
}

TEST_CASE("autograd: NoGrad records nothing and frees activations at once") {
  const auto device = Device::make({.threads = 1});
  const Tensor x = Tensor::zeros(device, Shape{1, 64, 64, 16}), w = Tensor::zeros(device, Shape{16, 3, 3, 16});
  w.set_requires_grad();
  const auto run = [&] {
    Tensor h = cast(x, DType::f32);
    for (int i = 0; i < 8; ++i) h = conv2d(h, w, {}, {.relu = true});
    return h;
  };
  const size_t before = device->arena().bytes_in_use();
  device->arena().reset_peak();
  {
    const NoGrad guard(*device);
    CHECK_FALSE(run().node());
  }
  const size_t without_graph = device->arena().peak_bytes() - before;
  CHECK(device->arena().bytes_in_use() == before);
  device->arena().reset_peak();
  CHECK(run().node());
  CHECK(device->arena().peak_bytes() - before > 2 * without_graph);
}

TEST_CASE("tensor: values come back in NHWC order from every type and layout") {
  const auto device = reference_device();
  const Shape shape{2, 3, 2, 17};
  std::vector<float> values(static_cast<size_t>(shape.elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 200);
  for (const Layout layout : {Layout::nhwc, Layout::blocked}) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
      CAPTURE(name_of(dtype));
      const Tensor t = Tensor::zeros(device, shape, dtype, layout);
      t.assign(values);
      CHECK(t.to_vector() == values);
      CHECK(t.to_double() == std::vector<double>(values.begin(), values.end()));
    }
  }
  const Tensor bytes = Tensor::empty(device, Shape{3}, DType::u8);
  bytes.set_values<uint8_t>(std::vector<uint8_t>{1, 2, 255});
  CHECK(bytes.values<uint8_t>() == std::vector<uint8_t>{1, 2, 255});
  CHECK(bytes.to_double() == std::vector<double>{1, 2, 255});
  CHECK_THROWS_AS(bytes.values<float>(), TypeError);
  CHECK_THROWS_AS(bytes.set_values<uint8_t>(std::vector<uint8_t>{1, 2}), ShapeError);
}

TEST_CASE("tensor: a scalar is known until it is written to, through whatever handle") {
  const auto device = Device::make({.threads = 1});
  const Tensor t = Tensor::scalar(device, 0.1, DType::f32);
  CHECK(t.item() == double{0.1F});
  CHECK(t.to_vector()[0] == 0.1F);
  t.detach().assign(std::vector<float>{3});
  CHECK(t.item() == 3);
  CHECK(Tensor::scalar(reference_device(), 0.1, DType::f64).item() == 0.1);
}

TEST_CASE("conv2d: a filter changed through a detached tensor is packed anew") {
  const auto device = Device::make({.threads = 1, .convolution = kernels::ConvolutionMode::direct});
  const Tensor x = Tensor::from(device, Shape{1, 4, 4, 16}, std::vector<float>(256, 1));
  const Tensor w = Tensor::from(device, Shape{16, 3, 3, 16}, std::vector<float>(2304, 1));
  CHECK(conv2d(x, w, {}).to_vector()[0] == 144);
  w.detach().assign(std::vector<float>(2304, 2));
  CHECK(conv2d(x, w, {}).to_vector()[0] == 288);
}

TEST_CASE("autograd: cpu and reference agree through a small network, f32 and bf16") {
  const auto gradients = [](kernels::Target target, DType precision) {
    const auto device = Device::make({.target = target, .threads = 2});
    const auto value = [&](const Shape& s, uint32_t seed) {
      return Tensor::from(device, s, random_tensor(device, s, seed).to_vector());
    };
    const Tensor x = value(Shape{1, 20, 22, 1}, 1);
    const Tensor w1 = value(Shape{16, 3, 3, 1}, 2), w2 = value(Shape{16, 2, 2, 16}, 3),
                 w3 = value(Shape{2, 1, 1, 32}, 4);
    const Tensor b1 = value(Shape{16}, 5), b2 = value(Shape{16}, 6);
    for (const Tensor& p : {w1, w2, w3, b1, b2}) p.set_requires_grad();
    const Tensor h = conv2d(cast(x, precision), w1, b1, {.relu = true});
    const Tensor up = conv_transpose2d(max_pool2d(h), w2, b2);
    const Tensor y = conv2d(up, w3, {}, {.x2 = h, .wide_output = true});
    backward(softmax_cross_entropy(y, random_labels(device, Shape{1, 18, 20, 1}, 2, 7)));
    std::vector<std::vector<float>> all{y.to_vector()};
    for (const Tensor& p : {w1, w2, w3, b1, b2}) all.push_back(p.grad().to_vector());
    return all;
  };
  for (const auto& [precision, tolerance] : {std::pair{DType::f32, 1e-5}, std::pair{DType::bf16, 2e-2}}) {
    const auto a = gradients(kernels::Target::cpu, precision), b = gradients(kernels::Target::reference, precision);
    for (size_t t = 0; t < a.size(); ++t) {
      double largest = 0, worst = 0;
      for (size_t i = 0; i < a[t].size(); ++i) {
        largest = std::max(largest, std::abs(double{b[t][i]}));
        worst = std::max(worst, std::abs(double{a[t][i]} - b[t][i]));
      }
      INFO("tensor " << t << " precision " << name_of(precision) << " worst " << worst << " of " << largest);
      CHECK(worst <= tolerance * largest);
    }
  }
}
