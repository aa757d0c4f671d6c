#include "engine/autograd.h"

#include <map>

#include "kernels/add.h"

namespace unet::engine {
namespace {

bool covers(const Gradient& g, const Shape& shape) {
  return g.value.shape().h() == shape.h() && g.value.shape().w() == shape.w();
}

/// into += g, at g's place.
void add_into(const Tensor& into, const Gradient& g) {
  dispatch_float("autograd", into.dtype(), [&]<class T>() {
    const auto part = g.value.view<T>();
    const auto y = into.mutable_view<T>().crop(g.top, g.left, part.h, part.w);
    kernels::run(into.device()->context(), kernels::Add<T>{.a = y, .b = part, .y = y});
  });
}

/// The sum of gradients that arrived for a tensor of this shape; it takes the first complete one over.
Gradient sum(std::vector<Gradient> gradients, const Shape& shape) {
  Tensor total;
  bool masked = true;
  for (Gradient& g : gradients) {
    masked = masked && g.masked;
    if (!total && covers(g, shape)) {
      total = g.value;
      g.value = {};
    }
  }
  if (!total) {
    const Tensor& like = gradients.front().value;
    total = Tensor::zeros(like.device(), shape, like.dtype(), like.layout());
  }
  for (const Gradient& g : gradients) {
    if (g.value) add_into(total, g);
  }
  Gradient all(total);
  all.masked = masked;
  return all;
}

}  // namespace

bool needs_gradient(const Tensor& x) { return x && (x.requires_grad() || x.node()); }

bool wants_masked_gradient(const Tensor& x) {
  return x && x.node() && x.node()->rectified && !x.device()->uses_host_memory();
}

void record(const Tensor& y, std::vector<Tensor> inputs, Node::Backward backward, bool rectified) {
  bool needed = false;
  for (const Tensor& x : inputs) needed = needed || needs_gradient(x);
  if (!needed || !y.device()->recording()) return;
  auto node = std::make_shared<Node>();
  node->id = y.device()->next_node_id();
  node->shape = y.shape();
  node->inputs = std::move(inputs);
  node->backward = std::move(backward);
  node->rectified = rectified;
  y.set_node(std::move(node));
}

Gradient take_pending(Node* node) {
  if (node == nullptr || node->pending.size() != 1) return {};
  Gradient gradient = std::move(node->pending.front());
  node->pending.clear();
  return gradient;
}

void backward(const Tensor& loss, double scale) {
  if (loss.shape().elements() != 1) {
    throw ShapeError(concat("backward: expected a loss of one element, got shape ", loss.shape().text()));
  }
  if (!loss.node()) throw Error("backward: the loss was computed from no tensor that requires a gradient");

  const Tensor upstream = Tensor::scalar(loss.device(), scale, loss.dtype());
  std::map<int64_t, std::shared_ptr<Node>> ready{{loss.node()->id, loss.node()}};
  loss.node()->pending.emplace_back(upstream);

  // The newest node has all its gradients: every consumer of its output is newer and was visited.
  while (!ready.empty()) {
    const std::shared_ptr<Node> node = ready.extract(std::prev(ready.end())).mapped();
    if (!node->backward) throw Error("backward: this graph was used up by an earlier backward()");
    const Gradient dy = sum(std::move(node->pending), node->shape);
    std::vector<Gradient> gradients = node->backward(dy.value, dy.masked);
    node->backward = nullptr;  // frees what the node had saved
    const std::vector<Tensor> inputs = std::move(node->inputs);
    node->inputs.clear();
    node->pending.clear();

    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& x = inputs[i];
      if (!gradients[i].value) continue;
      if (x.node()) {
        x.node()->pending.push_back(std::move(gradients[i]));
        ready.emplace(x.node()->id, x.node());
      } else if (x.requires_grad()) {
        std::vector<Gradient> parts;
        if (x.grad()) parts.emplace_back(x.grad());
        parts.push_back(std::move(gradients[i]));
        x.set_grad(sum(std::move(parts), x.shape()).value);
      }
    }
  }
}

}  // namespace unet::engine
