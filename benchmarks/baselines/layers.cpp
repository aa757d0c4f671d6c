#include "benchmarks/baselines/layers.h"

#include <algorithm>
#include <set>

#include "engine/autograd.h"
#include "engine/initializer.h"
#include "unet/random.h"

namespace unet::baselines {

using engine::Node;
using engine::Shape;
using engine::Tensor;

Layer LayerList::make(const std::string& name, int64_t outputs, int64_t side, int64_t inputs) {
  Layer layer{name, Tensor::empty(device_, Shape{outputs, side, side, inputs}, dtype_),
              Tensor::zeros(device_, Shape{outputs}, dtype_)};
  engine::he_normal(layer.weight, static_cast<double>(side * side * inputs),
                    {.seed = seed_,
                     .purpose = static_cast<uint32_t>(Purpose::initial_weights),
                     .step = static_cast<uint32_t>(layers_.size())});
  layer.weight.set_requires_grad();
  layer.bias.set_requires_grad();
  layers_.push_back(layer);
  return layer;
}

engine::ParameterList LayerList::parameters(double bias_lr_factor) const {
  engine::ParameterList list;
  for (const Layer& layer : layers_) {
    list.push_back({layer.name + ".weight", layer.weight});
    list.push_back({layer.name + ".bias", layer.bias, bias_lr_factor, 0});
  }
  return list;
}

int64_t count_multiply_adds(const Tensor& y) {
  const auto pixels = [](const Shape& shape) { return shape.n() * shape.h() * shape.w(); };
  int64_t sum = 0;
  std::set<const Node*> seen;
  std::vector<const Node*> open{y.node().get()};
  while (!open.empty()) {
    const Node* node = open.back();
    open.pop_back();
    if (node == nullptr || !seen.insert(node).second) continue;
    for (const Tensor& input : node->inputs) {
      if (!input) continue;
      open.push_back(input.node().get());
      // A filter meets every pixel of the smaller side once: a convolution's output, an up-convolution's input.
      if (input.requires_grad() && input.shape().rank() == 4) {
        sum += input.shape().elements() * std::min(pixels(node->inputs.front().shape()), pixels(node->shape));
      }
    }
  }
  return sum;
}

}  // namespace unet::baselines
