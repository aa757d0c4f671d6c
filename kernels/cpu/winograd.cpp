#include "kernels/cpu/winograd.h"

#if defined(__AVX512F__)

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>

#include "kernels/cpu/winograd_filter.h"
#include "kernels/cpu/winograd_gemm.h"
#include "kernels/cpu/winograd_tiles.h"
#include "kernels/cpu/winograd_transform.h"

namespace unet::kernels::winograd {
namespace {

// Note [Blocking]
//
// A block of tiles is transformed (V: 36 points x tiles x input channels); then, for 32 output channels at a time, 36
// matrix products V * U fill M (36 points x tiles x 32), which is transformed back at once. M and the part of U in use
// stay in the second-level cache. Each 64-byte line of V feeds 16 cycles of multiplications and each line of U half as
// many cycles as the block has tiles, so both may stream from the third level.
//
// Few input channels: each thread has blocks of its own with V in its second-level cache, and threads never wait.
// Many: all threads share one larger block, lest U be streamed too often, and divide transforms and output channels.
// U is transformed once per call where it is small, else anew for each block (K x C x 9 floats are read instead of
// K x C x 36), 128 input channels at a time.
constexpr int64_t kRows = 14;                    // tiles in a register tile
constexpr int64_t kPair = kVectors * kLanes;     // output channels in a register tile
constexpr int64_t kDepth = 128;                  // input channels of a register tile: 16 KiB of U stay in L1
constexpr int64_t kFewTiles = 32;                // below, a packed filter pays
constexpr int64_t kOwnFloats = (512 << 10) / 4;  // V of a thread's own block
constexpr int64_t kMinOwnTiles = 2 * kRows, kMaxOwnTiles = 6 * kRows;
constexpr int64_t kSharedFloats = (8 << 20) / 4;  // V of a shared block
constexpr int64_t kMinSharedTiles = 4 * kRows;
constexpr int64_t kProductFloats = (3 << 20) / 4;  // M of a shared block
constexpr int64_t kFilterFloats = (10 << 20) / 4;  // U of all or some output channels

/// y = act(b + correlation of the border-extended x with the filter): both directions in one form.
struct Convolution {
  Channels<const float> x;
  Channels<float> y;
  int64_t border;  // zeros around x: 0 forward, 2 backward
  View<const float> w;
  Direction direction;
  const float* bias;  // [outputs], or null
  bool relu;
  const float* packed;
};

/// Tiles [first, first + count) in register-tile groups of `rows` tiles; the last group may repeat the last tile.
struct Block {
  int64_t first, count, groups, rows;
  Block(int64_t first_tile, int64_t tiles)
      : first(first_tile), count(tiles), groups(ceil_div(tiles, kRows)), rows(ceil_div(tiles, groups)) {
    groups = ceil_div(tiles, rows);
  }
  int64_t padded() const { return groups * rows; }
};

class Runner {
 public:
  Runner(const Context& context, const Convolution& convolution)
      : context_(context),
        convolution_(convolution),
        grid_(convolution.y.any().n, convolution.y.any().h, convolution.y.any().w),
        layout_(convolution.x.count(), convolution.y.count()) {
    const int64_t tile_floats = kPoints * layout_.inputs();
    const int64_t own_tiles = std::min(kOwnFloats / tile_floats / kRows * kRows, kMaxOwnTiles);
    shared_ = own_tiles < kMinOwnTiles || grid_.count() < own_tiles * context.threads * 2;
    const int64_t limit = shared_ ? std::max(kSharedFloats / tile_floats / kRows * kRows, kMinSharedTiles) : own_tiles;
    tiles_ = ceil_div(grid_.count(), ceil_div(grid_.count(), limit));

    const bool is_whole = !shared_ || layout_.size() <= kFilterFloats;
    const int64_t product_pairs = kProductFloats / kPoints / round_up(tiles_, kRows) / kPair;
    const int64_t filter_pairs = kFilterFloats / layout_.pair_stride();
    chunk_ = shared_ ? std::min(product_pairs, is_whole || convolution.packed ? layout_.pairs() : filter_pairs) : 1;
    chunk_ = std::clamp(chunk_, int64_t{1}, layout_.pairs());
    chunk_ = ceil_div(layout_.pairs(), ceil_div(layout_.pairs(), chunk_));
    held_pairs_ = convolution.packed ? 0 : is_whole ? layout_.pairs() : chunk_;

    v_stride_ = round_up(tiles_, kRows) * layout_.inputs() + kSkew;
    m_stride_ = round_up(tiles_, kRows) * chunk_ * kPair + kSkew;
  }

  void run() {
    const int64_t blocks = shared_ ? 1 : context_.threads;
    std::optional<Scratch<float>> u;
    if (held_pairs_ > 0) u.emplace(*context_.workspace, held_pairs_ * layout_.pair_stride());
    const Scratch<float> v(*context_.workspace, blocks * kPoints * v_stride_);
    const Scratch<float> m(*context_.workspace, blocks * kPoints * m_stride_);
    const bool is_whole = held_pairs_ == layout_.pairs();
    if (is_whole) pack_filter(context_, convolution_.w, convolution_.direction, layout_, u->data());
    const float* const whole = is_whole ? u->data() : convolution_.packed;
#pragma omp parallel num_threads(context_.threads)
    {
      if (shared_) {
        run_shared(whole, whole ? nullptr : u->data(), v.data(), m.data());
      } else {
        const int64_t thread = omp_get_thread_num();
        run_own(whole, v.data() + thread * kPoints * v_stride_, m.data() + thread * kPoints * m_stride_);
      }
    }
  }

 private:
  /// Each thread takes blocks of its own.
  void run_own(const float* u, float* v, float* m) const {
    const int64_t blocks = ceil_div(grid_.count(), tiles_);
#pragma omp for schedule(dynamic, 1)
    for (int64_t i = 0; i < blocks; ++i) {
      const Block block(i * tiles_, std::min(tiles_, grid_.count() - i * tiles_));
      for (int64_t channel = 0; channel < layout_.input_blocks; ++channel) {
        for (int64_t group = 0; group < block.groups; ++group) transform_inputs(block, channel, group, v);
      }
      for (int64_t pair = 0; pair < layout_.pairs(); ++pair) {
        const float* const pair_u = u + pair * layout_.pair_stride();
        for (int64_t point = 0; point < kPoints; ++point) multiply(block, pair, pair + 1, point, pair_u, v, m);
        for (int64_t group = 0; group < block.groups; ++group) transform_outputs(block, pair, pair, group, m);
      }
    }
  }

  /// All threads share each block: they divide transforms by tiles and channels, and products by points. `buffer` is
  /// filled with chunk after chunk of U where there is no `whole` U.
  void run_shared(const float* whole, float* buffer, float* v, float* m) const {
    const int64_t stride = layout_.pair_stride();
    for (int64_t first = 0; first < grid_.count(); first += tiles_) {
      const Block block(first, std::min(tiles_, grid_.count() - first));
#pragma omp for collapse(2) schedule(static) nowait
      for (int64_t channel = 0; channel < layout_.input_blocks; ++channel) {
        for (int64_t group = 0; group < block.groups; ++group) transform_inputs(block, channel, group, v);
      }
      for (int64_t begin = 0; begin < layout_.pairs(); begin += chunk_) {
        const int64_t end = std::min(begin + chunk_, layout_.pairs());
        if (buffer) {
#pragma omp for collapse(2) schedule(static) nowait
          for (int64_t pair = begin; pair < end; ++pair) {
            for (int64_t channel = 0; channel < layout_.input_blocks; ++channel) {
              transform_filter_block(convolution_.w, convolution_.direction, layout_, pair, channel,
                                     buffer + (pair - begin) * stride);
            }
          }
        }
        const float* const u = whole ? whole + begin * stride : buffer;
#pragma omp barrier
#pragma omp for schedule(dynamic, 1)
        for (int64_t point = 0; point < kPoints; ++point) multiply(block, begin, end, point, u, v, m);
#pragma omp for collapse(2) schedule(static) nowait
        for (int64_t pair = begin; pair < end; ++pair) {
          for (int64_t group = 0; group < block.groups; ++group) transform_outputs(block, begin, pair, group, m);
        }
      }
    }
  }

  /// V of one group and 16 input channels. V is [point][group][channel block][tile of the group][16].
  void transform_inputs(const Block& block, int64_t channel, int64_t group, float* v) const {
    const Plane<const float> plane = convolution_.x.plane(channel);
    float* to = v + (group * layout_.input_blocks + channel) * block.rows * kLanes;
    for (int64_t row = 0; row < block.rows; ++row, to += kLanes) {
      const int64_t tile = block.first + std::min(group * block.rows + row, block.count - 1);
      const auto [n, h, w] = grid_.position(tile);
      const Window<kSide> window(plane, n, h - convolution_.border, w - convolution_.border);
      transform_input_tile(window.data, window.row_stride, to, v_stride_);
    }
  }

  /// M of one point and the pairs [begin, end); U starts at `begin`. M is [point][pair][tile][vector][16].
  void multiply(const Block& block, int64_t begin, int64_t end, int64_t point, const float* u, const float* v,
                float* m) const {
    static constexpr auto two = multiply_table<kRows, 2, kLanes, 1>();
    static constexpr auto one = multiply_table<kRows, 1, kLanes, 1>();
    for (int64_t depth = 0; depth < layout_.inputs(); depth += kDepth) {
      for (int64_t pair = begin; pair < end; ++pair) {
        const int64_t vectors = layout_.vectors(pair);
        const Multiply multiply_rows = (vectors == 2 ? two : one)[static_cast<size_t>(block.rows - 1)];
        const float* pair_u = u + (pair - begin) * layout_.pair_stride() + point * layout_.point_stride(pair);
        float* pair_m = m + point * m_stride_ + (pair - begin) * block.padded() * kPair;
        for (int64_t group = 0; group < block.groups; ++group) {
          multiply_rows({.a = v + point * v_stride_ + (group * layout_.inputs() + depth) * block.rows,
                         .a_block_stride = block.rows * kLanes,
                         .b = pair_u + depth * vectors * kLanes,
                         .b_depth_stride = vectors * kLanes,
                         .b_vector_stride = kLanes,
                         .m = pair_m + group * block.rows * vectors * kLanes,
                         .m_row_stride = vectors * kLanes,
                         .blocks = std::min(kDepth, layout_.inputs() - depth) / kLanes,
                         .depth = kLanes,
                         .accumulate = depth > 0});
        }
      }
    }
  }

  /// The outputs of one pair and group; M starts at pair `begin`.
  void transform_outputs(const Block& block, int64_t begin, int64_t pair, int64_t group, const float* m) const {
    const int64_t vectors = layout_.vectors(pair);
    const int64_t first = group * block.rows, last = std::min(first + block.rows, block.count);
    for (int64_t vector = 0; vector < vectors; ++vector) {
      const int64_t channel = pair * kVectors + vector;
      const Plane<float> plane = convolution_.y.plane(channel);
      if (!plane.data) continue;
      const __mmask16 lanes = lanes_below(convolution_.y.count() - channel * kLanes);
      const Vector bias =
          convolution_.bias ? _mm512_maskz_loadu_ps(lanes, convolution_.bias + channel * kLanes) : _mm512_setzero_ps();
      for (int64_t tile = first; tile < last; ++tile) {
        const float* from = m + (pair - begin) * block.padded() * kPair + (tile * vectors + vector) * kLanes;
        write_outputs(from, bias, plane, grid_.position(block.first + tile));
      }
    }
  }

  void write_outputs(const float* m, Vector bias, const Plane<float>& plane, const TilePosition& at) const {
    const Vector floor = convolution_.relu ? _mm512_setzero_ps() : _mm512_set1_ps(-INFINITY);
    const auto y = transform_square<6, 4>(load_points(m, m_stride_), transform_output);
    float* const to = plane.at(at.n, at.h, at.w);
    const int64_t rows = std::min<int64_t>(kTile, plane.h - at.h), columns = std::min<int64_t>(kTile, plane.w - at.w);
    if (rows == kTile && columns == kTile) {
      for (int i = 0; i < kTile; ++i) {
        for (int j = 0; j < kTile; ++j) {
          store(to + i * plane.stride_h + j * kLanes, _mm512_max_ps(floor, add(y[i][j], bias)));
        }
      }
      return;
    }
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        store(to + i * plane.stride_h + j * kLanes, _mm512_max_ps(floor, add(y[i][j], bias)));
      }
    }
  }

  const Context& context_;
  const Convolution& convolution_;
  const TileGrid grid_;
  const FilterLayout layout_;
  bool shared_;                  // one block for all threads, or one for each
  int64_t tiles_;                // of a block
  int64_t chunk_;                // pairs of output blocks whose M is alive
  int64_t held_pairs_;           // whose U is in scratch
  int64_t v_stride_, m_stride_;  // floats from point to point
};

bool is_supported(const View<const float>& w, std::initializer_list<View<const float>> images, int64_t c1, bool two) {
  const auto fits = [](const View<const float>& v) { return !v || v.is_blocked(); };
  return __builtin_cpu_supports("avx512f") && w.h == kTaps && w.w == kTaps && w.stride_w == w.c &&
         std::all_of(images.begin(), images.end(), fits) && (!two || c1 % kLanes == 0);
}

bool has_few_tiles(int64_t n, int64_t h, int64_t w) { return TileGrid(n, h, w).count() < kFewTiles; }

template <class T>
const View<T>& either(const View<T>& a, const View<T>& b) {
  return a ? a : b;
}

}  // namespace

bool supports(const Conv2d<float>& op) {
  return is_supported(op.w, {op.x, op.x2, op.y, op.y_wide}, op.x.c, bool(op.x2));
}

bool supports(const Conv2dBackward<float>& op) {
  return is_supported(op.w, {op.x, op.x2, op.dy, op.dy_wide, op.dx, op.dx2}, op.x.c, bool(op.x2));
}

int64_t packed_filter_size(const View<const float>& w) {
  return std::max(FilterLayout(w.c, w.n).size(), FilterLayout(w.n, w.c).size());
}

bool gains_from_packed_filter(const Conv2d<float>& op) { return has_few_tiles(op.x.n, op.x.h - 2, op.x.w - 2); }
bool gains_from_packed_filter(const Conv2dBackward<float>& op) { return has_few_tiles(op.x.n, op.x.h, op.x.w); }

void pack_forward(const Context& context, const View<const float>& w, float* packed) {
  pack_filter(context, w, Direction::forward, FilterLayout(w.c, w.n), packed);
}

void pack_backward_data(const Context& context, const View<const float>& w, float* packed) {
  pack_filter(context, w, Direction::backward_data, FilterLayout(w.n, w.c), packed);
}

void forward(const Context& context, const Conv2d<float>& op, const float* packed) {
  const View<float>& y = either(op.y, op.y_wide);
  const Convolution convolution{.x = {op.x, op.x2, op.x.c},
                                .y = {y, {}, y.c},
                                .border = 0,
                                .w = op.w,
                                .direction = Direction::forward,
                                .bias = op.b.data,
                                .relu = op.relu,
                                .packed = packed};
  Runner(context, convolution).run();
}

void backward_data(const Context& context, const Conv2dBackward<float>& op, const float* packed) {
  const View<const float> dy = op.dy ? View<const float>(op.dy) : op.dy_wide;
  View<float> dx2 = op.dx2;
  dx2.c = op.x2.c;  // an absent dx2 still has channels
  const Convolution convolution{.x = {dy, {}, dy.c},
                                .y = {op.dx, dx2, op.x.c},
                                .border = kTaps - 1,
                                .w = op.w,
                                .direction = Direction::backward_data,
                                .bias = nullptr,
                                .relu = false,
                                .packed = packed};
  Runner(context, convolution).run();
}

}  // namespace unet::kernels::winograd

#else

namespace unet::kernels::winograd {
namespace {

[[noreturn]] void refuse() {
  throw TypeError("winograd: expected a build for processors with AVX-512, got one without; ask supports() first");
}

}  // namespace

bool supports(const Conv2d<float>&) { return false; }
bool supports(const Conv2dBackward<float>&) { return false; }
int64_t packed_filter_size(const View<const float>&) { refuse(); }
bool gains_from_packed_filter(const Conv2d<float>&) { return false; }
bool gains_from_packed_filter(const Conv2dBackward<float>&) { return false; }
void pack_forward(const Context&, const View<const float>&, float*) { refuse(); }
void pack_backward_data(const Context&, const View<const float>&, float*) { refuse(); }
void forward(const Context&, const Conv2d<float>&, const float*) { refuse(); }
void backward_data(const Context&, const Conv2dBackward<float>&, const float*) { refuse(); }
void backward_filter(const Context&, const Conv2dBackward<float>&) { refuse(); }

}  // namespace unet::kernels::winograd

#endif  // __AVX512F__
