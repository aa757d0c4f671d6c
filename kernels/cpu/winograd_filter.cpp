#include "kernels/cpu/winograd_filter.h"

#if defined(__AVX512F__)

namespace unet::kernels::winograd {
namespace {

/// U of output channels [k, k+16) and input channels [c, c+16) of the forward convolution: lanes are output channels.
void transform_forward(const View<const float>& w, int64_t k, int64_t c, float* u, int64_t channel_stride,
                       int64_t point_stride) {
  alignas(64) float taps[kTaps * kTaps][kLanes][kLanes];  // [tap][input channel][output channel]
  const __mmask16 inputs = lanes_below(w.c - c);
  for (int tap = 0; tap < kTaps * kTaps; ++tap) {
    Row<16> square;
    for (int i = 0; i < kLanes; ++i) {
      const float* from = &w(std::min(k + i, w.n - 1), tap / kTaps, tap % kTaps, 0) + c;
      square[i] = _mm512_maskz_loadu_ps(k + i < w.n ? inputs : __mmask16{0}, from);
      _mm_prefetch(from + kLanes, _MM_HINT_T0);  // 144 rows are too many for the processor's own prefetch
    }
    transpose(square);
    for (int i = 0; i < kLanes; ++i) store(taps[tap][i], square[i]);
  }
  for (int i = 0; i < kLanes; ++i) {
    const auto tap = [&](int r, int s) { return load(taps[r * kTaps + s][i]); };
    transform_square<3, 6>(tap, transform_filter, write_points(u + i * channel_stride, point_stride));
  }
}

/// The same for the full correlation of backward-data: its inputs are k, its outputs c, and taps are turned round.
void transform_backward(const View<const float>& w, int64_t c, int64_t k, float* u, int64_t channel_stride,
                        int64_t point_stride) {
  const __mmask16 outputs = lanes_below(w.c - c);
  for (int i = 0; i < kLanes; ++i) {
    const __mmask16 lanes = k + i < w.n ? outputs : __mmask16{0};
    const float* filter = w.data + std::min(k + i, w.n - 1) * w.stride_n + c;
    const auto turned_tap = [&](int r, int s) {
      const float* from = filter + (kTaps - 1 - r) * w.stride_h + (kTaps - 1 - s) * w.stride_w;
      _mm_prefetch(from + kLanes * w.stride_n, _MM_HINT_T0);
      return _mm512_maskz_loadu_ps(lanes, from);
    };
    transform_square<3, 6>(turned_tap, transform_filter, write_points(u + i * channel_stride, point_stride));
  }
}

}  // namespace

void transform_filter_part(const View<const float>& w, Direction direction, const FilterLayout& layout, int64_t pair,
                           int64_t part, float* u) {
  const int64_t vectors = layout.vectors(pair), channel_stride = vectors * kLanes;
  const auto transform = direction == Direction::forward ? transform_forward : transform_backward;
  for (int64_t v = 0; v < vectors; ++v) {
    for (int64_t channel = 0; channel < layout.depth(part); channel += kLanes) {
      transform(w, (pair * kVectors + v) * kLanes, part * kDepth + channel, u + channel * channel_stride + v * kLanes,
                channel_stride, layout.point_stride(pair, part));
    }
  }
}

void pack_filter(const Context& context, const View<const float>& w, Direction direction, const FilterLayout& layout,
                 float* packed) {
#pragma omp parallel for collapse(2) schedule(static) num_threads(context.threads)
  for (int64_t pair = 0; pair < layout.pairs(); ++pair) {
    for (int64_t part = 0; part < layout.parts(); ++part) {
      transform_filter_part(w, direction, layout, pair, part, packed + layout.offset(pair, part));
    }
  }
}

}  // namespace unet::kernels::winograd

#endif  // __AVX512F__
