// Define-by-run automatic differentiation.
//
// An operation computes its output and, where an input asks for gradients, attaches a Node that can turn the output's
// gradient into the inputs'. backward() visits the nodes from the newest to the oldest.
#pragma once

#include <functional>
#include <vector>

#include "engine/tensor.h"

namespace unet::engine {

/// Gradient of one input. It may cover only the part of the input at (top, left); the rest is zero.
struct Gradient {
  Tensor value;  // empty: no gradient
  int64_t top = 0, left = 0;
  bool masked = false;  // zero already wherever the input, the output of a ReLU, is not above zero

  Gradient() = default;
  Gradient(Tensor v, int64_t top_row = 0, int64_t left_column = 0)  // NOLINT(google-explicit-constructor)
      : value(std::move(v)), top(top_row), left(left_column) {}
};

/// What an operation leaves behind for the backward pass.
struct Node {
  /// From the output's gradient, which it may overwrite, to one gradient per input. No two may share storage. `masked`
  /// as in Gradient: only where the node is rectified.
  using Backward = std::function<std::vector<Gradient>(const Tensor& dy, bool masked)>;

  int64_t id = 0;          // grows with creation: an input's node has a smaller id than its consumer's
  Shape shape;             // of the output
  bool rectified = false;  // the output is that of a ReLU: its gradient may arrive masked
  std::vector<Tensor> inputs;
  Backward backward;
  std::vector<Gradient> pending;  // gradients that have arrived so far
};

/// True where a gradient has to flow to x.
bool needs_gradient(const Tensor& x);

/// True where consumers of x do well to mask the gradient for it: kernels of a device take the ReLU below along where
/// the CPU's make another pass.
bool wants_masked_gradient(const Tensor& x);

/// Attaches a node to y unless the device is not recording or no input needs a gradient. The closure should hold
/// detached tensors only: holding y itself would be a cycle. `rectified`: y is the output of a ReLU.
void record(const Tensor& y, std::vector<Tensor> inputs, Node::Backward backward, bool rectified = false);

/// During backward(): hands over the gradient that has arrived for a node's output so far, where it is a single one. An
/// operation that adds it to its own on the way saves a pass over both. Else, and for no node, empty.
Gradient take_pending(Node* node);

/// Adds d(loss)/d(parameter) to grad() of every tensor with requires_grad() that loss was computed from. The graph is
/// used up. `scale` multiplies every gradient (the upstream gradient of the loss). Throws ShapeError unless loss has
/// one element.
void backward(const Tensor& loss, double scale = 1.0);

}  // namespace unet::engine
