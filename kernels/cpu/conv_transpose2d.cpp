#include "kernels/conv_transpose2d.h"

#include <algorithm>
#include <optional>

#include "kernels/cpu/blocked.h"
#include "kernels/cpu/filter.h"
#include "kernels/cpu/gradient.h"

namespace unet::kernels {
namespace cpu {
namespace {

// A 2x2 stride-2 transposed convolution is a 1x1 convolution to four times the channels, 4k + 2a + d, followed by a
// pixel shuffle: filters [K,2,2,C] and [4K,1,1,C] are the same numbers in the same order. oneDNN's own deconvolution
// takes twice the time.

constexpr int64_t kTaps = 4;

ConvolutionProblem problem_of(const Context& context, ConvolutionPass pass, DType type, int64_t n, int64_t h, int64_t w,
                              const FilterPart& part) {
  return {.pass = pass,
          .type = type,
          .y_type = type,
          .threads = context.threads,
          .n = n,
          .h = h,
          .w = w,
          .c = part.padded_c(),
          .k = part.padded_k(),
          .r = 1,
          .s = 1,
          .filter_stride = part.stride()};
}

FilterPart part_of(const View<const float>& w) {
  return {.k = kTaps * w.n, .r = 1, .s = 1, .filter_channels = w.c, .ranges = {{0, w.c}}, .planar = false};
}

// y[n,2i+a,2j+d,k] = z[n,i,j,4k+2a+d], or the way back; both blocked, z dense.
template <bool kBack, class T>
void shuffle(const Context& context, const View<T>& z, const View<T>& y) {
#pragma omp parallel for collapse(3) num_threads(context.threads)
  for (int64_t n = 0; n < z.n; ++n) {
    for (int64_t block = 0; block < y.blocks(); ++block) {
      for (int64_t i = 0; i < z.h; ++i) {
        // Sixteen channels of y are those of up to four blocks of z, of which the last may not exist.
        const int64_t parts = std::min(kTaps, z.blocks() - kTaps * block);
        for (int64_t j = 0; j < z.w; ++j) {
          for (int64_t a = 0; a < 2; ++a) {
            for (int64_t d = 0; d < 2; ++d) {
              T* const to = &y(n, 2 * i + a, 2 * j + d, kChannelBlock * block);
              for (int64_t part = 0; part < parts; ++part) {
                T* const from = &z(n, i, j, kChannelBlock * (kTaps * block + part)) + 2 * a + d;
                for (int64_t lane = 0; lane < kTaps; ++lane) {
                  if constexpr (kBack) {
                    from[kTaps * lane] = to[kTaps * part + lane];
                  } else {
                    to[kTaps * part + lane] = from[kTaps * lane];
                  }
                }
              }
              if constexpr (!kBack) std::fill(to + kTaps * parts, to + kChannelBlock, T(0.0F));
            }
          }
        }
      }
    }
  }
}

// b[k] four times each, padded with zeros to whole blocks.
class TapBias {
 public:
  TapBias(const Context& context, const View<const float>& b, int64_t padded_k) {
    if (!b) return;
    repeated_.emplace(*context.workspace, padded_k);
    for (int64_t k = 0; k < padded_k; ++k) (*repeated_)[k] = k < kTaps * b.c ? b(0, 0, 0, k / kTaps) : 0.0F;
  }
  void* data() const { return repeated_ ? repeated_->data() : nullptr; }

 private:
  std::optional<Scratch<float>> repeated_;
};

}  // namespace
}  // namespace cpu

template <class T>
void execute(Cpu, const Context& context, const ConvTranspose2d<T>& o) {
  using namespace cpu;
  const BlockedInput<T> x(context, o.x);
  const BlockedOutput<T> y(context, o.y);
  const FilterPart part = part_of(o.w);
  ConvolutionProblem problem =
      problem_of(context, ConvolutionPass::forward, DTypeOf<T>::value, o.x.n, o.x.h, o.x.w, part);
  problem.bias = bool(o.b);
  problem.relu = o.relu;
  const auto convolution = state_of(context).convolution(problem);
  const PackedFilter filter(context, *convolution, part, o.w.data, o.cache);
  const TapBias bias(context, o.b, part.padded_k());
  const Scratch<T> taps(*context.workspace, o.x.pixels() * part.padded_k());
  {
    const Scratch<std::byte> scratch(*context.workspace, static_cast<int64_t>(convolution->scratch_bytes()));
    convolution->execute({.x = const_cast<T*>(x.view().data),
                          .filter = filter.data(),
                          .bias = bias.data(),
                          .y = taps.data(),
                          .scratch = scratch.data()});
  }
  shuffle<false>(context, View<T>::blocked(taps.data(), o.x.n, o.x.h, o.x.w, part.k), y.view());
  y.store();
}

template <class T>
void execute(Cpu, const Context& context, const ConvTranspose2dBackward<T>& o) {
  using namespace cpu;
  const Gradient<T> gradient(context, o.y, o.dy, {}, o.db);
  if (!o.dx && !o.dw) return;
  const FilterPart part = part_of(o.w);
  const Scratch<T> taps(*context.workspace, o.x.pixels() * part.padded_k());
  const auto g = View<T>::blocked(taps.data(), o.x.n, o.x.h, o.x.w, part.k);
  if (part.padded_k() != part.k) std::fill_n(taps.data(), o.x.pixels() * part.padded_k(), T(0.0F));
  shuffle<true>(context, g, gradient.view());

  const auto compiled = [&](ConvolutionPass pass) {
    return state_of(context).convolution(problem_of(context, pass, DTypeOf<T>::value, o.x.n, o.x.h, o.x.w, part));
  };
  if (o.dx) {
    const BlockedOutput<T> dx(context, o.dx);
    const auto convolution = compiled(ConvolutionPass::backward_data);
    const PackedFilter filter(context, *convolution, part, o.w.data, o.cache);
    const Scratch<std::byte> scratch(*context.workspace, static_cast<int64_t>(convolution->scratch_bytes()));
    convolution->execute({.x = dx.view().data, .filter = filter.data(), .y = g.data, .scratch = scratch.data()});
    dx.store();
  }
  if (o.dw) {
    const BlockedInput<T> x(context, o.x);
    const auto convolution = compiled(ConvolutionPass::backward_filter);
    const Scratch<std::byte> packed(*context.workspace, static_cast<int64_t>(convolution->filter_bytes()));
    const Scratch<std::byte> scratch(*context.workspace, static_cast<int64_t>(convolution->scratch_bytes()));
    convolution->execute(
        {.x = const_cast<T*>(x.view().data), .filter = packed.data(), .y = g.data, .scratch = scratch.data()});
    unpack_gradient(context, *convolution, part, packed.data(), o.dw.data);
  }
}

template void execute(Cpu, const Context&, const ConvTranspose2d<float>&);
template void execute(Cpu, const Context&, const ConvTranspose2d<bf16>&);
template void execute(Cpu, const Context&, const ConvTranspose2dBackward<float>&);
template void execute(Cpu, const Context&, const ConvTranspose2dBackward<bf16>&);

}  // namespace unet::kernels
