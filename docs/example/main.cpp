// A network of one's own: it learns an exclusive or, whether a pixel's left and right neighbour differ.
#include <cstdio>
#include <random>

#include "engine/adam.h"
#include "engine/autograd.h"
#include "engine/conv2d.h"
#include "engine/initializer.h"
#include "engine/softmax_cross_entropy.h"

using namespace unet::engine;

int main() {
  constexpr int64_t images = 4, height = 32, width = 34;
  std::mt19937 random(1);
  std::vector<float> pixels;    // [4,32,34,1] black and white
  std::vector<int32_t> labels;  // [4,32,32,1]
  for (int64_t row = 0; row < images * height; ++row) {
    for (int64_t column = 0; column < width; ++column) {
      pixels.push_back(static_cast<float>(random() % 2));
      if (column >= 2) labels.push_back(pixels.end()[-1] != pixels.end()[-3] ? 1 : 0);
    }
  }

  const auto device = Device::make();
  const Tensor x = Tensor::from(device, {images, height, width, 1}, pixels);
  const Tensor truth = Tensor::from(device, {images, height, width - 2, 1}, labels);

  // A 1x3 convolution to eight features, a ReLU, and a 1x1 convolution to the scores of the two classes.
  const ParameterList parameters{{"features.weight", Tensor::zeros(device, {8, 1, 3, 1})},
                                 {"features.bias", Tensor::zeros(device, {8})},
                                 {"scores.weight", Tensor::zeros(device, {2, 1, 1, 8})},
                                 {"scores.bias", Tensor::zeros(device, {2})}};
  for (const Parameter& p : parameters) p.value.set_requires_grad();
  he_normal(parameters[0].value, 3, {.seed = 1, .purpose = 0});
  he_normal(parameters[2].value, 8, {.seed = 1, .purpose = 1});

  Adam optimizer(parameters);
  for (int step = 0; step <= 200; ++step) {
    const Tensor features = conv2d(x, parameters[0].value, parameters[1].value, {.relu = true});
    const Tensor scores = conv2d(features, parameters[2].value, parameters[3].value);
    const Tensor loss = softmax_cross_entropy(scores, truth);
    if (step % 50 == 0) std::printf("step %3d  loss %.4f\n", step, loss.item());
    clear_gradients(parameters);
    backward(loss);
    optimizer.step(0.02);
  }
}
