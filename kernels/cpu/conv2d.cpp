#include "kernels/conv2d.h"

#include <optional>
#include <type_traits>
#include <utility>

#include "kernels/conv2d_unfused.h"
#include "kernels/cpu/blocked.h"
#include "kernels/cpu/conv2d_head.h"
#include "kernels/cpu/filter.h"
#include "kernels/cpu/gradient.h"
#include "kernels/cpu/winograd.h"

namespace unet::kernels {
namespace cpu {
namespace {

// oneDNN's first-layer kernels read up to three channels as planes.
constexpr int64_t kMaxPlanes = 3;

// The input of a convolution as oneDNN takes it: one dense image, planar or blocked, x and x2 side by side.
template <class T>
class Source {
 public:
  Source(const Context& context, const View<const T>& x, const View<const T>& x2) : planar_(is_planar(x) && !x2) {
    if (planar_) {
      if (x.c == 1 && x.is_dense()) {
        data_ = x.data;
      } else {
        copy_.emplace(*context.workspace, x.size());
        copy_planes(context, x);
      }
    } else if (!x2) {
      single_.emplace(context, x);
      data_ = single_->view().data;
    } else {
      copy_.emplace(*context.workspace, padded_size(x) + padded_size(x2));
      auto left = View<T>::blocked(copy_->data(), x.n, x.h, x.w, x.c);
      auto right = View<T>::blocked(copy_->data() + left.stride_n, x2.n, x2.h, x2.w, x2.c);
      left.stride_n = right.stride_n = left.stride_n + right.stride_n;
      run(context, Cast<T, T>{.x = x, .y = left});
      run(context, Cast<T, T>{.x = x2, .y = right});
    }
    if (copy_) data_ = copy_->data();
  }

  FilterUse filter_use() const { return planar_ ? FilterUse::planar_convolution : FilterUse::convolution; }
  T* data() const { return const_cast<T*>(data_); }

 private:
  static bool is_planar(const View<const T>& x) { return x.c <= kMaxPlanes && !x.is_blocked(); }

  void copy_planes(const Context& context, const View<const T>& x) {
#pragma omp parallel for collapse(3) num_threads(context.threads)
    for (int64_t n = 0; n < x.n; ++n)
      for (int64_t c = 0; c < x.c; ++c)
        for (int64_t h = 0; h < x.h; ++h)
          for (int64_t w = 0; w < x.w; ++w) (*copy_)[((n * x.c + c) * x.h + h) * x.w + w] = x(n, h, w, c);
  }

  bool planar_;
  std::optional<BlockedInput<T>> single_;
  std::optional<Scratch<T>> copy_;
  const T* data_ = nullptr;
};

// The oneDNN problem of a convolution of images like x with a part of a filter.
template <class T>
ConvolutionProblem problem_of(const Context& context, ConvolutionPass pass, const View<const T>& x,
                              const FilterPart& part) {
  return {.pass = pass,
          .planar = part.use == FilterUse::planar_convolution,
          .type = DTypeOf<T>::value,
          .y_type = DTypeOf<T>::value,
          .threads = context.threads,
          .n = x.n,
          .h = x.h,
          .w = x.w,
          .c = part.padded_c(),
          .k = part.padded_k(),
          .r = part.r,
          .s = part.s,
          .filter_stride = part.stride()};
}

// y = act(b + w * cat(x, x2)).
template <class T, class Y>
void forward(const Context& context, const Conv2d<T>& o, const View<Y>& y) {
  const Source<T> source(context, o.x, o.x2);
  const BlockedOutput<Y> output(context, y);
  std::vector<ChannelRange> ranges{{0, o.x.c}};
  if (o.x2) ranges.push_back({o.x.c, o.x2.c});
  const FilterPart part(o.w, source.filter_use(), std::move(ranges));

  ConvolutionProblem problem = problem_of(context, ConvolutionPass::forward, o.x, part);
  problem.y_type = DTypeOf<Y>::value;
  problem.relu = o.relu;
  problem.bias = bool(o.b);
  const auto convolution = state_of(context).convolution(problem);
  const PackedFilter filter(context, *convolution, part, o.w.data, o.cache);
  const PaddedBias bias(context, o.b);
  execute(context, *convolution,
          {.x = source.data(), .filter = filter.data(), .bias = bias.data(), .y = output.view().data});
  output.store();
}

// dx = the part of w that reads it, transposed, times g. o.dy holds g, dense and blocked.
template <class T>
void backward_data(const Context& context, const Conv2dBackward<T>& o, const View<T>& dx, ChannelRange range) {
  const BlockedOutput<T> output(context, dx);
  const FilterPart part(o.w, FilterUse::convolution, {range});
  const auto convolution =
      state_of(context).convolution(problem_of<T>(context, ConvolutionPass::backward_data, dx, part));
  const PackedFilter filter(context, *convolution, part, o.w.data, o.cache);
  execute(context, *convolution, {.x = output.view().data, .filter = filter.data(), .y = o.dy.data});
  output.store();
}

// dw of the channels that read x. o.dy holds g, dense and blocked.
template <class T>
void backward_filter(const Context& context, const Conv2dBackward<T>& o, const View<const T>& x, ChannelRange range) {
  const Source<T> source(context, x, {});
  const FilterPart part(o.w, source.filter_use(), {range});
  const auto convolution =
      state_of(context).convolution(problem_of<T>(context, ConvolutionPass::backward_filter, x, part));
  const Scratch<std::byte> packed(*context.workspace, static_cast<int64_t>(convolution->filter_bytes()));
  execute(context, *convolution, {.x = source.data(), .filter = packed.data(), .y = o.dy.data});
  unpack_gradient(context, *convolution, part, packed.data(), o.dw.data);
}

// Note [Choice of algorithm]
//
// ConvolutionMode::fast takes the own Winograd convolution (f32, 3x3, blocked images), by shape alone, so that the same
// program gives the same bits everywhere. It was faster than oneDNN's direct and Winograd ones at every layer of the
// U-Net of width 64, at tiles from 188 to 572 px, but where an image has few 4x4 tiles: there transforming the filter
// costs more than Winograd saves. In milliseconds on one Zen 5 core, Winograd and direct, 1024 to 1024 channels:
// forward, 9 tiles, filter kept from the call before: 7.1 and 12.0; 1 tile: 5.2 and 4.5;
// gradient, 9 tiles, filter not kept: 23 and 14; 25 tiles, 512 channels: 6.6 and 7.4.
constexpr int64_t kMinTilesForward = 5, kMinTilesBackward = 20;

int64_t tiles_of(const View<const float>& output) { return output.n * ceil_div(output.h, 4) * ceil_div(output.w, 4); }

// A filter transformed for a Winograd pass, from the cache; null where the pass had better transform it itself.
template <class Operation, class Pack>
const float* winograd_filter(const Context& context, const Operation& o, ConvolutionPass pass, Pack pack) {
  if (o.cache == nullptr || !winograd::gains_from_packed_filter(o)) return nullptr;
  const size_t bytes = static_cast<size_t>(winograd::packed_filter_size(o.w)) * sizeof(float);
  return static_cast<const float*>(cached_form(*o.cache, {-1, static_cast<int64_t>(pass)}, bytes,
                                               [&](void* packed) { pack(context, o.w, static_cast<float*>(packed)); }));
}

// True where it computed the operation.
bool forward_winograd(const Context& context, const Conv2d<float>& o) {
  if (context.convolution != ConvolutionMode::fast || !winograd::supports(o)) return false;
  if (tiles_of(o.y ? o.y : o.y_wide) < kMinTilesForward) return false;
  winograd::forward(context, o, winograd_filter(context, o, ConvolutionPass::forward, winograd::pack_forward));
  return true;
}

// Computes, and strikes off, the outputs that Winograd is good for. o.dy holds g.
void backward_winograd(const Context& context, Conv2dBackward<float>& o) {
  if (context.convolution != ConvolutionMode::fast || !winograd::supports(o)) return;
  if ((o.dx || o.dx2) && tiles_of(o.x) >= kMinTilesBackward) {
    const float* packed = winograd_filter(context, o, ConvolutionPass::backward_data, winograd::pack_backward_data);
    winograd::backward_data(context, o, packed);
    o.dx = o.dx2 = {};
  }
  if (o.dw) {
    winograd::backward_filter(context, o);
    o.dw = {};
  }
}

}  // namespace
}  // namespace cpu

template <class T>
void execute(Cpu target, const Context& context, const Conv2d<T>& o) {
  using namespace cpu;
  if (o.pooled) return execute_then_pool(target, context, o);
  if (is_head(o)) return execute_head(context, o);
  if constexpr (std::is_same_v<T, float>) {
    if (forward_winograd(context, o)) return;
  }
  if (o.y) {
    forward(context, o, o.y);
  } else {
    forward(context, o, o.y_wide);
  }
}

template <class T>
void execute(Cpu target, const Context& context, const Conv2dBackward<T>& operation) {
  using namespace cpu;
  if (operation.relu_x || operation.relu_x2) return execute_then_mask(target, context, operation);
  if (is_head(operation)) return execute_head(context, operation);
  const Gradient<T> g(context, operation.y, operation.dy, operation.dy_wide, operation.db);
  Conv2dBackward<T> o = operation;
  o.dy = g.view();
  o.dy_wide = {};
  if constexpr (std::is_same_v<T, float>) backward_winograd(context, o);

  const ChannelRange first{0, o.x.c};
  const ChannelRange second{o.x.c, o.x2.c};
  if (o.dx) backward_data(context, o, o.dx, first);
  if (o.dx2) backward_data(context, o, o.dx2, second);
  if (o.dw) {
    backward_filter(context, o, o.x, first);
    if (o.x2) backward_filter(context, o, o.x2, second);
  }
}

template void execute(Cpu, const Context&, const Conv2d<float>&);
template void execute(Cpu, const Context&, const Conv2d<bf16>&);
template void execute(Cpu, const Context&, const Conv2dBackward<float>&);
template void execute(Cpu, const Context&, const Conv2dBackward<bf16>&);

}  // namespace unet::kernels
