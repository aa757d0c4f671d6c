// Up-convolutions by cuDNN. Note [Roles]: y of the up-convolution is the input of a 2x2 convolution with stride 2 and
// x its output, so that the forward pass is that convolution's gradient of the image. Its filters [C,2,2,K] are ours
// transposed.
#include "kernels/conv_transpose2d.h"

#include <optional>

#include "kernels/cudnn/operands.h"

namespace unet::kernels {
namespace cudnn {
namespace {

template <class T>
Problem problem_of(const Context& context, Stage stage, const View<const T>& y, const View<const T>& x) {
  return {.stage = stage,
          .x = Image(y),
          .y = Image(x),
          .r = 2,
          .s = 2,
          .stride = 2,
          .filter_type = DTypeOf<T>::value,
          .tf32 = context.tf32};
}

template <class T>
void backward_filter(const Context& context, const View<const T>& g, const ConvTranspose2dBackward<T>& op) {
  const int64_t k = op.dw.n, c = op.dw.c;
  const Scratch<T> transposed(*context.workspace, op.dw.size());
  const auto dw = View<T>::nhwc(transposed.data(), c, 2, 2, k);
  compute<T>(context, problem_of<T>(context, Stage::backward_filter, g, op.x),
             {{Operand::x, g.data}, {Operand::w, dw.data}, {Operand::y, op.x.data}}, nullptr, dw);
  const Scratch<float> wide(*context.workspace, op.dw.size());
  execute(Cuda{}, context, Cast<T, float>{.x = dw, .y = View<float>::nhwc(wide.data(), c, 2, 2, k)});
  transpose_filter(context, wide.data(), c, 4, k, op.dw.data);
}

}  // namespace
}  // namespace cudnn

template <class T>
void execute(Cudnn, const Context& context, const ConvTranspose2d<T>& op) {
  using namespace cudnn;
  require_nhwc(op.kName, "x", op.x);
  require_nhwc(op.kName, "y", op.y);
  const Filter<T> filter(context, op.w, true, op.cache);
  std::optional<Bias<T>> bias;
  if (op.b) bias.emplace(context, op.b);
  Problem problem = problem_of<T>(context, Stage::backward_data, op.y, op.x);
  problem.bias = bool(op.b);
  problem.relu = op.relu;
  compute<T>(context, problem, {{Operand::x, op.y.data}, {Operand::w, filter.data()}, {Operand::y, op.x.data}},
             bias ? &*bias : nullptr, op.y);
}

template <class T>
void execute(Cudnn, const Context& context, const ConvTranspose2dBackward<T>& op) {
  using namespace cudnn;
  require_nhwc(op.kName, "x", op.x);
  require_nhwc(op.kName, "dy", op.dy);
  require_nhwc(op.kName, "dx", op.dx);
  const View<T>& g = op.dy;
  if (op.y) execute(Cuda{}, context, ReluBackward<T>{.y = op.y, .dy = g, .dx = g});
  if (op.db) sum_pixels<T>(context, g, op.db.data);
  if (op.dw) backward_filter<T>(context, g, op);
  if (op.dx) {
    const Filter<T> filter(context, op.w, true, op.cache);
    compute<T>(context, problem_of<T>(context, Stage::forward, g, op.dx),
               {{Operand::x, g.data}, {Operand::w, filter.data()}, {Operand::y, op.dx.data}}, nullptr, op.dx);
  }
}

template void execute(Cudnn, const Context&, const ConvTranspose2d<float>&);
template void execute(Cudnn, const Context&, const ConvTranspose2d<bf16>&);
template void execute(Cudnn, const Context&, const ConvTranspose2dBackward<float>&);
template void execute(Cudnn, const Context&, const ConvTranspose2dBackward<bf16>&);

}  // namespace unet::kernels
