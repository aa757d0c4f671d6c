#if defined(__AVX512F__)

#include <omp.h>

#include <algorithm>

#include "kernels/cpu/winograd.h"
#include "kernels/cpu/winograd_filter.h"
#include "kernels/cpu/winograd_gemm.h"
#include "kernels/cpu/winograd_tiles.h"
#include "kernels/cpu/winograd_transform.h"

namespace unet::kernels::winograd {
namespace {

// Note [Filter gradient]
//
// A block of tiles of x and of dy is transformed by all threads: V = B^T x B and D = A dy A^T, both as
// [point][channel block][tile][16]. Then each task takes a rectangle of output and input channels, forms its 36
// products M = D^T V over the block's tiles, and adds G^T M G to its part of dw. The size of the block does not depend
// on the number of threads and each element of dw belongs to one task, so neither does the result.
constexpr int64_t kRows = 8;                          // register tile: output channels x vectors of input channels
constexpr int64_t kMaxOutputs = 32, kMaxInputs = 64;  // of a task
constexpr int64_t kBlockFloats = (18 << 20) / 4;      // V and D of a block
constexpr int64_t kMinTiles = 64, kMaxTiles = 192;    // of a block

class Runner {
 public:
  Runner(const Context& context, const Channels<const float>& x, const View<const float>& dy, const View<float>& dw)
      : context_(context), x_(x), dy_{dy, {}, dy.c}, dw_(dw), grid_(dy.n, dy.h, dy.w) {}

  void run() {
    const int64_t channels = (x_.blocks() + dy_.blocks()) * kLanes;
    const int64_t limit = std::clamp(kBlockFloats / kPoints / channels, kMinTiles, kMaxTiles);
    const int64_t blocks = ceil_div(grid_.count(), limit);
    tiles_ = ceil_div(grid_.count(), blocks);
    v_stride_ = x_.blocks() * tiles_ * kLanes + kSkew;
    d_stride_ = dy_.blocks() * tiles_ * kLanes + kSkew;
    choose_tasks();
    const Scratch<float> v(*context_.workspace, kPoints * v_stride_);
    const Scratch<float> d(*context_.workspace, kPoints * d_stride_);
    const Scratch<float> m(*context_.workspace, context_.threads * kPoints * m_stride());
#pragma omp parallel num_threads(context_.threads)
    {
      float* const own_m = m.data() + omp_get_thread_num() * kPoints * m_stride();
      for (int64_t block = 0; block < blocks; ++block) {
        const int64_t first = block * tiles_, count = std::min(tiles_, grid_.count() - first);
#pragma omp for schedule(static) nowait
        for (int64_t channel = 0; channel < x_.blocks(); ++channel) {
          transform_inputs(channel, first, count, v.data() + channel * tiles_ * kLanes);
        }
#pragma omp for schedule(static)
        for (int64_t channel = 0; channel < dy_.blocks(); ++channel) {
          transform_gradients(channel, first, count, d.data() + channel * tiles_ * kLanes);
        }
#pragma omp for collapse(2) schedule(dynamic, 1)
        for (int64_t k = 0; k < dw_.n; k += outputs_) {
          for (int64_t c = 0; c < x_.blocks() * kLanes; c += inputs_) {
            compute(k, c, count, v.data(), d.data(), own_m, block > 0);
          }
        }
      }
    }
  }

 private:
  int64_t m_stride() const { return outputs_ * inputs_ + kSkew; }

  /// Shrinks tasks until each thread has some.
  void choose_tasks() {
    outputs_ = std::min(kMaxOutputs, dy_.blocks() * kLanes), inputs_ = std::min(kMaxInputs, x_.blocks() * kLanes);
    const auto are_few = [&] {
      return ceil_div(dw_.n, outputs_) * ceil_div(x_.blocks() * kLanes, inputs_) < 2 * context_.threads;
    };
    while (are_few() && outputs_ > kRows) outputs_ = std::max(kRows, outputs_ / 2);
    if (are_few()) inputs_ = std::min(inputs_, kVectors * kLanes);
  }

  void transform_inputs(int64_t channel, int64_t first, int64_t count, float* v) const {
    const Plane<const float> plane = x_.plane(channel);
    for (int64_t tile = 0; tile < count; ++tile) {
      const auto [n, h, w] = grid_.position(first + tile);
      const Window<kSide> window(plane, n, h, w);
      transform_input_tile(window.data, window.row_stride, v + tile * kLanes, v_stride_);
    }
  }

  void transform_gradients(int64_t channel, int64_t first, int64_t count, float* d) const {
    const Plane<const float> plane = dy_.plane(channel);
    for (int64_t tile = 0; tile < count; ++tile) {
      const auto [n, h, w] = grid_.position(first + tile);
      const Window<kTile> window(plane, n, h, w);
      const auto dy = [&](int i, int j) { return load(window.data + i * window.row_stride + j * kLanes); };
      transform_square<4, 6>(dy, transform_output_gradient, write_points(d + tile * kLanes, d_stride_));
    }
  }

  /// dw of output channels [k, k + outputs) and input channels [c, c + inputs). M is [point][output][input].
  void compute(int64_t k, int64_t c, int64_t count, const float* v, const float* d, float* m, bool accumulate) const {
    const int64_t end_k = std::min(k + outputs_, dy_.blocks() * kLanes);
    const int64_t end_c = std::min(c + inputs_, x_.blocks() * kLanes);
    for (int64_t point = 0; point < kPoints; ++point) {
      for (int64_t input = c; input < end_c; input += kVectors * kLanes) {
        const bool is_last = input + kVectors * kLanes >= end_c;
        const float* next_v = v + (is_last ? (point + 1) * v_stride_ + c * tiles_
                                           : point * v_stride_ + (input + kVectors * kLanes) * tiles_);
        const Multiply multiply = input + kLanes < end_c ? &multiply_tile<kRows, 2, 1, kLanes>  //
                                                         : &multiply_tile<kRows, 1, 1, kLanes>;
        for (int64_t output = k; output < end_k; output += kRows) {
          const int64_t block = output / kLanes;
          const int64_t ahead = (output - k) / kRows;  // the first products fetch the next vectors of V
          multiply({.a = d + point * d_stride_ + block * tiles_ * kLanes + output % kLanes,
                    .a_block_stride = 0,
                    .prefetch = next_v + std::min(ahead, kVectors - 1) * tiles_ * kLanes,
                    .b = v + point * v_stride_ + input * tiles_,
                    .b_depth_stride = kLanes,
                    .b_vector_stride = tiles_ * kLanes,
                    .m = m + point * m_stride() + (output - k) * inputs_ + (input - c),
                    .m_row_stride = inputs_,
                    .blocks = 1,
                    .depth = count,
                    .accumulate = false});
        }
      }
    }
    for (int64_t output = k; output < std::min(end_k, dw_.n); ++output) {
      for (int64_t input = c; input < end_c; input += kLanes) {
        const float* from = m + (output - k) * inputs_ + (input - c);
        add_gradient(from, &dw_(output, 0, 0, 0) + input, lanes_below(dw_.c - input), accumulate);
      }
    }
  }

  void add_gradient(const float* m, float* dw, __mmask16 lanes, bool accumulate) const {
    const __mmask16 old = accumulate ? lanes : __mmask16{0};
    const auto write = [&](int r, int s, Vector gradient) {
      float* const to = dw + r * dw_.stride_h + s * dw_.stride_w;
      _mm_prefetch(to + dw_.stride_n, _MM_HINT_T0);  // the next output channel's: far away
      _mm512_mask_storeu_ps(to, lanes, add(gradient, _mm512_maskz_loadu_ps(old, to)));
    };
    transform_square<6, 3>(read_points(m, m_stride()), transform_filter_gradient, write);
  }

  const Context& context_;
  const Channels<const float> x_, dy_;
  const View<float> dw_;
  const TileGrid grid_;
  int64_t tiles_ = 0;                    // of a block
  int64_t outputs_ = 0, inputs_ = 0;     // channels of a task
  int64_t v_stride_ = 0, d_stride_ = 0;  // floats from point to point
};

}  // namespace

void backward_filter(const Context& context, const Conv2dBackward<float>& op) {
  const View<const float> dy = op.dy ? View<const float>(op.dy) : op.dy_wide;
  Runner(context, {op.x, op.x2, op.x.c}, dy, op.dw).run();
}

}  // namespace unet::kernels::winograd

#endif  // __AVX512F__
