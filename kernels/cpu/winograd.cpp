#include "kernels/cpu/winograd.h"

#if defined(__AVX512F__)

#include <omp.h>

#include <algorithm>
#include <cmath>

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
constexpr int64_t kRows = 14, kVectors = 2;          // register tile: tiles x vectors of output channels
constexpr int64_t kChunk = kVectors * kLanes;        // output channels of one pass
constexpr int64_t kDepth = 128;                      // input channels of one pass
constexpr int64_t kPrivateFloats = (512 << 10) / 4;  // V of a thread's own block
constexpr int64_t kMinPrivateTiles = 2 * kRows, kMaxPrivateTiles = 6 * kRows;
constexpr int64_t kSharedFloats = (10 << 20) / 4;  // V of a shared block
constexpr int64_t kMinSharedTiles = 4 * kRows;
constexpr int64_t kSharedTiles = 8 * kRows;             // of a task in a shared block
constexpr int64_t kWholeFilterFloats = (10 << 20) / 4;  // U that is transformed once per call
constexpr int64_t kFewTiles = 32;                       // below, a packed filter pays
constexpr int64_t kSkew = kLanes;                       // keeps 36 points out of one cache set

/// Where the transformed filter lies: [chunk][depth part][point][channel][vector][16].
struct FilterLayout {
  int64_t input_blocks, output_blocks;

  FilterLayout(int64_t inputs, int64_t outputs)
      : input_blocks(ceil_div(inputs, kLanes)), output_blocks(ceil_div(outputs, kLanes)) {}
  int64_t chunks() const { return ceil_div(output_blocks, kVectors); }
  int64_t parts() const { return ceil_div(input_blocks * kLanes, kDepth); }
  int64_t vectors(int64_t chunk) const { return std::min(kVectors, output_blocks - chunk * kVectors); }
  int64_t depth(int64_t part) const { return std::min(kDepth, input_blocks * kLanes - part * kDepth); }
  int64_t point_stride(int64_t chunk, int64_t part) const { return depth(part) * vectors(chunk) * kLanes + kSkew; }
  int64_t part_size() const { return kPoints * (std::min(kDepth, input_blocks * kLanes) * kChunk + kSkew); }
  int64_t offset(int64_t chunk, int64_t part) const { return (chunk * parts() + part) * part_size(); }
  int64_t size() const { return chunks() * parts() * part_size(); }
};

enum class Direction : uint8_t { forward, backward_data };

/// U of output channels [k, k+16) and input channels [c, c+16) of the forward convolution: lanes are output channels.
void transform_forward_filter(const View<const float>& w, int64_t k, int64_t c, float* u, int64_t channel_stride,
                              int64_t point_stride) {
  alignas(64) float taps[kTaps * kTaps][kLanes][kLanes];  // [tap][input channel][output channel]
  const __mmask16 inputs = lanes_below(w.c - c);
  for (int tap = 0; tap < kTaps * kTaps; ++tap) {
    Row<16> square;
    for (int i = 0; i < kLanes; ++i) {
      square[i] =
          k + i < w.n ? _mm512_maskz_loadu_ps(inputs, &w(k + i, tap / kTaps, tap % kTaps, 0) + c) : _mm512_setzero_ps();
    }
    transpose(square);
    for (int i = 0; i < kLanes; ++i) store(taps[tap][i], square[i]);
  }
  for (int i = 0; i < kLanes; ++i) {
    std::array<Row<3>, 3> g;
    for (int tap = 0; tap < kTaps * kTaps; ++tap) g[tap / kTaps][tap % kTaps] = load(taps[tap][i]);
    store_points(transform_square<3, 6>(g, transform_filter), u + i * channel_stride, point_stride);
  }
}

/// The same for the full correlation of backward-data: its inputs are k, its outputs c, and taps are turned round.
void transform_backward_filter(const View<const float>& w, int64_t c, int64_t k, float* u, int64_t channel_stride,
                               int64_t point_stride) {
  const __mmask16 outputs = lanes_below(w.c - c);
  for (int i = 0; i < kLanes; ++i) {
    const __mmask16 lanes = k + i < w.n ? outputs : __mmask16{0};
    const float* filter = w.data + std::min(k + i, w.n - 1) * w.stride_n + c;
    std::array<Row<3>, 3> g;
    for (int tap = 0; tap < kTaps * kTaps; ++tap) {
      const int turned = kTaps * kTaps - 1 - tap;
      const float* from = filter + turned / kTaps * w.stride_h + turned % kTaps * w.stride_w;
      g[tap / kTaps][tap % kTaps] = _mm512_maskz_loadu_ps(lanes, from);
    }
    store_points(transform_square<3, 6>(g, transform_filter), u + i * channel_stride, point_stride);
  }
}

/// One part of U.
void transform_filter_part(const View<const float>& w, Direction direction, const FilterLayout& layout, int64_t chunk,
                           int64_t part, float* u) {
  const int64_t vectors = layout.vectors(chunk), channel_stride = vectors * kLanes;
  const auto transform = direction == Direction::forward ? transform_forward_filter : transform_backward_filter;
  for (int64_t v = 0; v < vectors; ++v) {
    for (int64_t channel = 0; channel < layout.depth(part); channel += kLanes) {
      transform(w, chunk * kChunk + v * kLanes, part * kDepth + channel, u + channel * channel_stride + v * kLanes,
                channel_stride, layout.point_stride(chunk, part));
    }
  }
}

void pack(const Context& context, const View<const float>& w, Direction direction, const FilterLayout& layout,
          float* packed) {
#pragma omp parallel for collapse(2) schedule(static) num_threads(context.threads)
  for (int64_t chunk = 0; chunk < layout.chunks(); ++chunk) {
    for (int64_t part = 0; part < layout.parts(); ++part) {
      transform_filter_part(w, direction, layout, chunk, part, packed + layout.offset(chunk, part));
    }
  }
}

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
        layout_(convolution.x.count(), convolution.y.count()) {}

  void run() {
    const int64_t threads = context_.threads, tile_floats = kPoints * layout_.input_blocks * kLanes;
    const int64_t own_tiles = std::min(kPrivateFloats / tile_floats / kRows * kRows, kMaxPrivateTiles);
    shared_ = own_tiles < kMinPrivateTiles || grid_.count() < own_tiles * threads * 2;
    tiles_ = shared_ ? std::max(kSharedFloats / tile_floats / kRows * kRows, kMinSharedTiles) : own_tiles;
    tiles_ = ceil_div(grid_.count(), ceil_div(grid_.count(), tiles_));
    const int64_t padded = round_up(tiles_, kRows);
    v_stride_ = padded * layout_.input_blocks * kLanes + kSkew;
    task_tiles_ = std::min(padded, kSharedTiles);
    m_stride_ = task_tiles_ * kChunk + kSkew;

    const bool whole_filter = !convolution_.packed && (!shared_ || layout_.size() <= kWholeFilterFloats);
    const Scratch<float> whole(*context_.workspace, whole_filter ? layout_.size() : 16);
    const Scratch<float> part(*context_.workspace,
                              whole_filter || convolution_.packed ? 16 : threads * layout_.part_size());
    const Scratch<float> v(*context_.workspace, (shared_ ? 1 : threads) * kPoints * v_stride_);
    const Scratch<float> m(*context_.workspace, threads * kPoints * m_stride_);
    filter_ = whole_filter ? whole.data() : convolution_.packed;
    if (whole_filter) pack(context_, convolution_.w, convolution_.direction, layout_, whole.data());

#pragma omp parallel num_threads(context_.threads)
    {
      const int64_t thread = omp_get_thread_num();
      float* const own_m = m.data() + thread * kPoints * m_stride_;
      float* const own_part = filter_ ? nullptr : part.data() + thread * layout_.part_size();
      if (shared_) {
        run_shared(v.data(), own_m, own_part);
      } else {
        run_own(v.data() + thread * kPoints * v_stride_, own_m);
      }
    }
  }

 private:
  void run_own(float* v, float* m) const {
    const int64_t blocks = ceil_div(grid_.count(), tiles_);
#pragma omp for schedule(dynamic, 1)
    for (int64_t b = 0; b < blocks; ++b) {
      const Block block(b * tiles_, std::min(tiles_, grid_.count() - b * tiles_));
      for (int64_t channel = 0; channel < layout_.input_blocks; ++channel) {
        for (int64_t group = 0; group < block.groups; ++group) transform_inputs(block, channel, group, v);
      }
      for (int64_t chunk = 0; chunk < layout_.chunks(); ++chunk) compute(block, chunk, 0, block.groups, v, m, nullptr);
    }
  }

  void run_shared(float* v, float* m, float* part) const {
    for (int64_t first = 0; first < grid_.count(); first += tiles_) {
      const Block block(first, std::min(tiles_, grid_.count() - first));
#pragma omp for collapse(2) schedule(static)
      for (int64_t channel = 0; channel < layout_.input_blocks; ++channel) {
        for (int64_t group = 0; group < block.groups; ++group) transform_inputs(block, channel, group, v);
      }
      const int64_t task_groups = task_tiles_ / block.rows, tasks = ceil_div(block.groups, task_groups);
#pragma omp for collapse(2) schedule(dynamic, 1)
      for (int64_t chunk = 0; chunk < layout_.chunks(); ++chunk) {
        for (int64_t task = 0; task < tasks; ++task) {
          const int64_t begin = block.groups * task / tasks, end = block.groups * (task + 1) / tasks;
          compute(block, chunk, begin, end, v, m, part);
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

  /// Outputs of groups [begin, end) and one chunk of output channels. M is [point][tile][vector][16].
  void compute(const Block& block, int64_t chunk, int64_t begin, int64_t end, const float* v, float* m,
               float* part_buffer) const {
    static constexpr auto two = multiply_table<kRows, 2, kLanes, 1>();
    static constexpr auto one = multiply_table<kRows, 1, kLanes, 1>();
    const int64_t vectors = layout_.vectors(chunk);
    const Multiply multiply = (vectors == 2 ? two : one)[static_cast<size_t>(block.rows - 1)];
    for (int64_t part = 0; part < layout_.parts(); ++part) {
      const float* u = filter_ ? filter_ + layout_.offset(chunk, part) : part_buffer;
      if (!filter_) {
        transform_filter_part(convolution_.w, convolution_.direction, layout_, chunk, part, part_buffer);
      }
      const int64_t point_stride = layout_.point_stride(chunk, part);
      for (int64_t point = 0; point < kPoints; ++point) {
        for (int64_t group = begin; group < end; ++group) {
          const int64_t channel = group * layout_.input_blocks + part * (kDepth / kLanes);
          multiply({.a = v + point * v_stride_ + channel * block.rows * kLanes,
                    .a_block_stride = block.rows * kLanes,
                    .b = u + point * point_stride,
                    .b_depth_stride = vectors * kLanes,
                    .b_vector_stride = kLanes,
                    .m = m + point * m_stride_ + (group - begin) * block.rows * vectors * kLanes,
                    .m_row_stride = vectors * kLanes,
                    .blocks = layout_.depth(part) / kLanes,
                    .depth = kLanes,
                    .accumulate = part > 0});
        }
      }
    }
    const int64_t first = begin * block.rows, last = std::min(end * block.rows, block.count);
    for (int64_t vector = 0; vector < vectors; ++vector) {
      const int64_t channel = chunk * kVectors + vector;
      const Plane<float> plane = convolution_.y.plane(channel);
      if (!plane.data) continue;
      const Vector bias = convolution_.bias
                              ? _mm512_maskz_loadu_ps(lanes_below(convolution_.y.count() - channel * kLanes),
                                                      convolution_.bias + channel * kLanes)
                              : _mm512_setzero_ps();
      for (int64_t tile = first; tile < last; ++tile) {
        const float* from = m + ((tile - first) * vectors + vector) * kLanes;
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
  bool shared_ = false;
  int64_t tiles_ = 0, task_tiles_ = 0;   // of a block, of a task
  int64_t v_stride_ = 0, m_stride_ = 0;  // floats from point to point
  const float* filter_ = nullptr;        // whole U, or null
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
  pack(context, w, Direction::forward, FilterLayout(w.c, w.n), packed);
}

void pack_backward_data(const Context& context, const View<const float>& w, float* packed) {
  pack(context, w, Direction::backward_data, FilterLayout(w.n, w.c), packed);
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
