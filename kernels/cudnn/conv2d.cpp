// Convolutions by cuDNN: the two sources are concatenated first, ReLU's gradient is a step before the others.
#include "kernels/conv2d.h"

#include <optional>

#include "kernels/conv2d_unfused.h"
#include "kernels/cudnn/operands.h"

namespace unet::kernels {
namespace cudnn {
namespace {

Problem problem_of(const Context& context, Stage stage, const Image& x, const View<const float>& w, const Image& y,
                   DType filter_type) {
  return {.stage = stage, .x = x, .y = y, .r = w.h, .s = w.w, .filter_type = filter_type, .tf32 = context.tf32};
}

template <class T>
void forward(Context context, const View<const T>& x, const View<const float>& w, const View<const float>& b,
             const View<T>& y, bool relu, FilterCache* cache) {
  const Filter<T> filter(context, w, false, cache);
  std::optional<Bias<T>> bias;
  if (b) bias.emplace(context, b);
  Problem problem = problem_of(context, Stage::forward, Image(x), w, Image(y), DTypeOf<T>::value);
  problem.bias = bool(b);
  problem.relu = relu;
  compute<T>(context, problem, {{Operand::x, x.data}, {Operand::w, filter.data()}, {Operand::y, y.data}},
             bias ? &*bias : nullptr, y);
}

template <class T>
void backward_data(const Context& context, const View<const T>& g, const Conv2dBackward<T>& op) {
  const Filter<T> filter(context, op.w, false, op.cache);
  std::unique_ptr<Scratch<T>> both;
  View<T> dx = op.dx;
  if (op.x2 || !op.dx) {
    both = std::make_unique<Scratch<T>>(*context.workspace, op.x.pixels() * op.w.c);
    dx = View<T>::nhwc(both->data(), op.x.n, op.x.h, op.x.w, op.w.c);
  }
  compute<T>(context, problem_of(context, Stage::backward_data, Image(dx), op.w, Image(g), DTypeOf<T>::value),
             {{Operand::x, dx.data}, {Operand::w, filter.data()}, {Operand::y, g.data}}, nullptr, dx);
  if (op.x2) {
    execute(Cuda{}, context, CropConcatBackward<T>{.dy = dx, .dx = op.dx, .dx2 = op.dx2, .c1 = op.x.c});
  }
}

// The gradient is computed in T, as frameworks do, and widened: cuDNN's fast plans write no wider type.
template <class T>
void backward_filter(const Context& context, const View<const T>& g, const Conv2dBackward<T>& op) {
  const Concatenated<T> x(context, op.x, op.x2);
  const Scratch<T> narrow(*context.workspace, op.dw.size());
  const auto dw = View<T>::nhwc(narrow.data(), op.dw.n, op.dw.h, op.dw.w, op.dw.c);
  compute<T>(context, problem_of(context, Stage::backward_filter, Image(x.view()), op.w, Image(g), DTypeOf<T>::value),
             {{Operand::x, x.view().data}, {Operand::w, dw.data}, {Operand::y, g.data}}, nullptr, dw);
  execute(Cuda{}, context, Cast<T, float>{.x = dw, .y = op.dw});
}

}  // namespace
}  // namespace cudnn

template <class T>
void execute(Cudnn, const Context& context, const Conv2d<T>& op) {
  using namespace cudnn;
  if (op.pooled) return execute_then_pool(Cudnn{}, context, op);
  require_nhwc(op.kName, "x", op.x);
  require_nhwc(op.kName, "x2", op.x2);
  require_nhwc(op.kName, "y", op.y);
  require_nhwc(op.kName, "y_wide", op.y_wide);
  const Concatenated<T> x(context, op.x, op.x2);
  if (op.y) return forward<T>(context, x.view(), op.w, op.b, op.y, op.relu, op.cache);
  if constexpr (std::is_same_v<T, float>) {
    forward<float>(context, x.view(), op.w, op.b, op.y_wide, op.relu, op.cache);
  } else {
    // No plan reads bf16 and writes f32. Every bf16 is a tf32 number, so that tensor cores lose nothing.
    const View<const T>& v = x.view();
    const Scratch<float> wide(*context.workspace, v.size()), rounded(*context.workspace, op.w.size());
    const Filter<T> filter(context, op.w, false, nullptr);
    const auto wide_x = View<float>::nhwc(wide.data(), v.n, v.h, v.w, v.c);
    const auto wide_w = View<float>::nhwc(rounded.data(), op.w.n, op.w.h, op.w.w, op.w.c);
    execute(Cuda{}, context, Cast<T, float>{.x = v, .y = wide_x});
    execute(
        Cuda{}, context,
        Cast<T, float>{.x = View<const T>(View<T>::nhwc(const_cast<T*>(filter.data()), op.w.n, op.w.h, op.w.w, op.w.c)),
                       .y = wide_w});
    Context exact = context;
    exact.tf32 = true;
    forward<float>(exact, wide_x, wide_w, op.b, op.y_wide, op.relu, nullptr);
  }
}

template <class T>
void execute(Cudnn, const Context& context, const Conv2dBackward<T>& op) {
  using namespace cudnn;
  if (op.relu_x || op.relu_x2) return execute_then_mask(Cudnn{}, context, op);
  require_nhwc(op.kName, "x", op.x);
  require_nhwc(op.kName, "x2", op.x2);
  require_nhwc(op.kName, "dy", op.dy);
  require_nhwc(op.kName, "dy_wide", op.dy_wide);
  require_nhwc(op.kName, "dx", op.dx);
  require_nhwc(op.kName, "dx2", op.dx2);
  std::unique_ptr<Scratch<T>> narrow;
  View<T> g = op.dy;
  if (op.dy_wide) {
    const auto& v = op.dy_wide;
    narrow = std::make_unique<Scratch<T>>(*context.workspace, v.size());
    g = View<T>::nhwc(narrow->data(), v.n, v.h, v.w, v.c);
    execute(Cuda{}, context, Cast<float, T>{.x = v, .y = g});
  }
  if (op.y) execute(Cuda{}, context, ReluBackward<T>{.y = op.y, .dy = g, .dx = g});
  if (op.db) sum_pixels<T>(context, g, op.db.data);
  if (op.dw) backward_filter<T>(context, g, op);
  if (op.dx || op.dx2) backward_data<T>(context, g, op);
}

template void execute(Cudnn, const Context&, const Conv2d<float>&);
template void execute(Cudnn, const Context&, const Conv2d<bf16>&);
template void execute(Cudnn, const Context&, const Conv2dBackward<float>&);
template void execute(Cudnn, const Context&, const Conv2dBackward<bf16>&);

}  // namespace unet::kernels
