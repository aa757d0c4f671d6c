#include "kernels/conv_transpose2d.h"

#include <algorithm>

#include "kernels/cpu/blocked.h"
#include "kernels/cpu/filter.h"
#include "kernels/cpu/gradient.h"

namespace unet::kernels {
namespace cpu {
namespace {

// Note [Up-convolution]
//
// The outputs of one phase (a,d), at rows 2i+a and columns 2j+d, are a 1x1 convolution of x. All four phases are one
// 1x1 convolution z = W x to 4K channels, phase by phase, K padded to whole blocks, and a pixel shuffle that moves
// blocks of 16 channels. oneDNN's own deconvolution takes twice the time.

// y[n,2i+a,2j+d,k] = z[n,i,j,(2a+d)*padded_k + k], or the way back where z is to be written. Blocked; gaps allowed in
// y.
template <bool kBack, class Z, class Y>
void shuffle(const Context& context, const View<Z>& z, const View<Y>& y) {
  const int64_t phase_channels = z.c / 4;
#pragma omp parallel for collapse(3) num_threads(context.threads)
  for (int64_t n = 0; n < y.n; ++n) {
    for (int64_t c = 0; c < phase_channels; c += kChannelBlock) {
      for (int64_t h = 0; h < y.h; ++h) {
        for (int64_t d = 0; d < 2; ++d) {
          Z* in_z = &z(n, h / 2, 0, (2 * (h % 2) + d) * phase_channels + c);
          Y* in_y = &y(n, h, d, c);
          for (int64_t j = 0; j < z.w; ++j) {
            if constexpr (kBack) {
              std::copy_n(in_y, kChannelBlock, in_z);
            } else {
              std::copy_n(in_z, kChannelBlock, in_y);
            }
            in_z += kChannelBlock;
            in_y += 2 * kChannelBlock;
          }
        }
      }
    }
  }
}

// The 1x1 convolution that an up-convolution of x is.
template <class T>
class UpConvolution {
 public:
  UpConvolution(const Context& context, const View<const T>& x, const View<const float>& w)
      : context_(context), x_(x), part_(w, FilterUse::up_convolution, {{0, w.c}}) {}

  const FilterPart& part() const { return part_; }

  std::shared_ptr<const CompiledConvolution> compiled(ConvolutionPass pass, bool bias = false,
                                                      bool relu = false) const {
    return state_of(context_).convolution({.pass = pass,
                                           .bias = bias,
                                           .relu = relu,
                                           .type = DTypeOf<T>::value,
                                           .y_type = DTypeOf<T>::value,
                                           .threads = context_.threads,
                                           .n = x_.n,
                                           .h = x_.h,
                                           .w = x_.w,
                                           .c = part_.padded_c(),
                                           .k = part_.padded_k(),
                                           .r = part_.r,
                                           .s = part_.s,
                                           .filter_stride = part_.stride()});
  }

  // The four phases z [N,H,W,4K].
  int64_t phases_size() const { return x_.pixels() * part_.padded_k(); }
  View<T> phases(T* data) const { return View<T>::blocked(data, x_.n, x_.h, x_.w, part_.padded_k()); }

 private:
  const Context& context_;
  View<const T> x_;
  FilterPart part_;
};

}  // namespace
}  // namespace cpu

template <class T>
void execute(Cpu, const Context& context, const ConvTranspose2d<T>& o) {
  using namespace cpu;
  const UpConvolution<T> up(context, o.x, o.w);
  const auto convolution = up.compiled(ConvolutionPass::forward, bool(o.b), o.relu);
  const BlockedInput<T> x(context, o.x);
  const BlockedOutput<T> y(context, o.y);
  const PackedFilter filter(context, *convolution, up.part(), o.w.data, o.cache);
  const PaddedBias bias(context, o.b, up.part().phases());
  const Scratch<T> z(*context.workspace, up.phases_size());
  execute(context, *convolution,
          {.x = const_cast<T*>(x.view().data), .filter = filter.data(), .bias = bias.data(), .y = z.data()});
  shuffle<false>(context, up.phases(z.data()), y.view());
  y.store();
}

template <class T>
void execute(Cpu, const Context& context, const ConvTranspose2dBackward<T>& o) {
  using namespace cpu;
  const Gradient<T> gradient(context, o.y, o.dy, {}, o.db);
  if (!o.dx && !o.dw) return;
  const UpConvolution<T> up(context, o.x, o.w);
  const Scratch<T> g(*context.workspace, up.phases_size());
  shuffle<true>(context, up.phases(g.data()), gradient.view());
  if (o.dx) {
    const auto convolution = up.compiled(ConvolutionPass::backward_data);
    const BlockedOutput<T> dx(context, o.dx);
    const PackedFilter filter(context, *convolution, up.part(), o.w.data, o.cache);
    execute(context, *convolution, {.x = dx.view().data, .filter = filter.data(), .y = g.data()});
    dx.store();
  }
  if (o.dw) {
    const auto convolution = up.compiled(ConvolutionPass::backward_filter);
    const BlockedInput<T> x(context, o.x);
    const Scratch<std::byte> packed(*context.workspace, static_cast<int64_t>(convolution->filter_bytes()));
    execute(context, *convolution, {.x = const_cast<T*>(x.view().data), .filter = packed.data(), .y = g.data()});
    unpack_gradient(context, *convolution, up.part(), packed.data(), o.dw.data);
  }
}

template void execute(Cpu, const Context&, const ConvTranspose2d<float>&);
template void execute(Cpu, const Context&, const ConvTranspose2d<bf16>&);
template void execute(Cpu, const Context&, const ConvTranspose2dBackward<float>&);
template void execute(Cpu, const Context&, const ConvTranspose2dBackward<bf16>&);

}  // namespace unet::kernels
