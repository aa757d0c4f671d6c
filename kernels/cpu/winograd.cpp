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
constexpr int64_t kFewTiles = 32;                // below, a packed filter pays
constexpr int64_t kOwnFloats = (512 << 10) / 4;  // V of a thread's own block
constexpr int64_t kMinOwnTiles = 2 * kRows, kMaxOwnTiles = 6 * kRows;
constexpr int64_t kSharedFloats = (10 << 20) / 4;  // V of a shared block
constexpr int64_t kMinSharedTiles = 4 * kRows;
constexpr int64_t kTaskTiles = 8 * kRows;          // of a task in a shared block
constexpr int64_t kFilterFloats = (10 << 20) / 4;  // U that is transformed once per call

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

/// A pair of output blocks for groups [begin, end) of a block of tiles.
struct Task {
  int64_t pair, begin, end;
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
    is_shared_ = own_tiles < kMinOwnTiles || grid_.count() < own_tiles * context.threads * 2;
    const int64_t limit =
        is_shared_ ? std::max(kSharedFloats / tile_floats / kRows * kRows, kMinSharedTiles) : own_tiles;
    tiles_ = ceil_div(grid_.count(), ceil_div(grid_.count(), limit));
    const int64_t padded = round_up(tiles_, kRows);
    task_tiles_ = std::min(padded, kTaskTiles);
    v_stride_ = padded * layout_.inputs() + kSkew;
    m_stride_ = task_tiles_ * kPair + kSkew;
  }

  void run() {
    const int64_t threads = context_.threads;
    const bool is_whole = !convolution_.packed && (!is_shared_ || layout_.size() <= kFilterFloats);
    const int64_t part_floats = is_whole || convolution_.packed ? 0 : layout_.part_size();
    std::optional<Scratch<float>> whole;
    if (is_whole) {
      whole.emplace(*context_.workspace, layout_.size());
      pack_filter(context_, convolution_.w, convolution_.direction, layout_, whole->data());
    }
    const float* const u = is_whole ? whole->data() : convolution_.packed;
    const int64_t v_floats = kPoints * v_stride_, m_floats = kPoints * m_stride_;
    const Scratch<float> v(*context_.workspace, (is_shared_ ? 1 : threads) * v_floats);
    const Scratch<float> own(*context_.workspace, threads * (m_floats + part_floats));
#pragma omp parallel num_threads(context_.threads)
    {
      const int64_t thread = omp_get_thread_num();
      float* const m = own.data() + thread * (m_floats + part_floats);
      if (is_shared_) {
        run_shared(u, v.data(), m, m + m_floats);
      } else {
        run_own(u, v.data() + thread * v_floats, m);
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
        compute(block, {.pair = pair, .begin = 0, .end = block.groups}, u, nullptr, v, m);
      }
    }
  }

  /// All threads share each block and divide its transforms, then its outputs.
  void run_shared(const float* u, float* v, float* m, float* part) const {
    for (int64_t first = 0; first < grid_.count(); first += tiles_) {
      const Block block(first, std::min(tiles_, grid_.count() - first));
#pragma omp for collapse(2) schedule(static)
      for (int64_t channel = 0; channel < layout_.input_blocks; ++channel) {
        for (int64_t group = 0; group < block.groups; ++group) transform_inputs(block, channel, group, v);
      }
      const int64_t tasks = ceil_div(block.groups, task_tiles_ / block.rows);
#pragma omp for collapse(2) schedule(dynamic, 1)
      for (int64_t pair = 0; pair < layout_.pairs(); ++pair) {
        for (int64_t i = 0; i < tasks; ++i) {
          compute(block, {pair, block.groups * i / tasks, block.groups * (i + 1) / tasks}, u, part, v, m);
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

  /// The outputs of a task, from the whole U or from parts of it that are transformed into `buffer` one by one.
  void compute(const Block& block, const Task& task, const float* whole, float* buffer, const float* v,
               float* m) const {
    for (int64_t part = 0; part < layout_.parts(); ++part) {
      if (!whole) transform_filter_part(convolution_.w, convolution_.direction, layout_, task.pair, part, buffer);
      multiply(block, task, part, whole ? whole + layout_.offset(task.pair, part) : buffer, v, m);
    }
    transform_outputs(block, task, m);
  }

  /// M (+)= V U over the input channels of one part. M is [point][tile][vector][16].
  void multiply(const Block& block, const Task& task, int64_t part, const float* u, const float* v, float* m) const {
    static constexpr auto two = multiply_table<kRows, 2, kLanes, 1>();
    static constexpr auto one = multiply_table<kRows, 1, kLanes, 1>();
    const int64_t vectors = layout_.vectors(task.pair), point_stride = layout_.point_stride(task.pair, part);
    const Multiply multiply_rows = (vectors == 2 ? two : one)[static_cast<size_t>(block.rows - 1)];
    const auto panel = [&](int64_t point, int64_t group) {
      return v + point * v_stride_ + (group * layout_.inputs() + part * kDepth) * block.rows;
    };
    for (int64_t point = 0; point < kPoints; ++point) {
      for (int64_t group = task.begin; group < task.end; ++group) {
        multiply_rows({.a = panel(point, group),
                       .a_block_stride = block.rows * kLanes,
                       .prefetch = group + 1 < task.end ? panel(point, group + 1) : panel(point + 1, task.begin),
                       .b = u + point * point_stride,
                       .b_depth_stride = vectors * kLanes,
                       .b_vector_stride = kLanes,
                       .m = m + point * m_stride_ + (group - task.begin) * block.rows * vectors * kLanes,
                       .m_row_stride = vectors * kLanes,
                       .blocks = layout_.depth(part) / kLanes,
                       .depth = kLanes,
                       .accumulate = part > 0});
      }
    }
  }

  void transform_outputs(const Block& block, const Task& task, const float* m) const {
    const int64_t vectors = layout_.vectors(task.pair);
    const int64_t first = task.begin * block.rows, last = std::min(task.end * block.rows, block.count);
    for (int64_t vector = 0; vector < vectors; ++vector) {
      const int64_t channel = task.pair * kVectors + vector;
      const Plane<float> plane = convolution_.y.plane(channel);
      if (!plane.data) continue;
      const __mmask16 lanes = lanes_below(convolution_.y.count() - channel * kLanes);
      const Vector bias =
          convolution_.bias ? _mm512_maskz_loadu_ps(lanes, convolution_.bias + channel * kLanes) : _mm512_setzero_ps();
      for (int64_t tile = first; tile < last; ++tile) {
        const float* from = m + ((tile - first) * vectors + vector) * kLanes;
        write_outputs(from, bias, plane, grid_.position(block.first + tile));
      }
    }
  }

  void write_outputs(const float* m, Vector bias, const Plane<float>& plane, const TilePosition& at) const {
    const Vector floor = convolution_.relu ? _mm512_setzero_ps() : _mm512_set1_ps(-INFINITY);
    float* const to = plane.at(at.n, at.h, at.w);
    const int64_t rows = plane.h - at.h, columns = plane.w - at.w;
    const auto write = [&](int i, int j, Vector y) {
      store(to + i * plane.stride_h + j * kLanes, _mm512_max_ps(floor, add(y, bias)));
    };
    const auto write_inside = [&](int i, int j, Vector y) {
      if (i < rows && j < columns) write(i, j, y);
    };
    if (rows >= kTile && columns >= kTile) {
      transform_square<6, 4>(read_points(m, m_stride_), transform_output, write);
    } else {
      transform_square<6, 4>(read_points(m, m_stride_), transform_output, write_inside);
    }
  }

  const Context& context_;
  const Convolution& convolution_;
  const TileGrid grid_;
  const FilterLayout layout_;
  bool is_shared_;               // one block for all threads, or one for each
  int64_t tiles_, task_tiles_;   // of a block, of a task
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
