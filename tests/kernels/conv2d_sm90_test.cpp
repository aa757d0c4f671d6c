// The convolutions of kernels/cuda/sm90 on the emulated target, which presents itself as a device of capability 9.0.
#include <array>
#include <utility>

#include "kernels/conv2d.h"
#include "kernels/conv_transpose2d.h"
#include "kernels/cuda/sm90/convolution.cuh"
#include "kernels/emulated/state.h"
#include "tests/kernels/support.h"

namespace unet::kernels::gpu::test {
namespace {

using kernels::test::Buffer;
using kernels::test::integers;
using kernels::test::Storage;
using kernels::test::Values;
using Extent = kernels::test::Shape;

/// The emulated device as one of capability 9.0 with few multiprocessors, so that blocks compute several tiles.
struct Device {
  explicit Device(int multiprocessors = 3) {
    state().set_capability(90);
    state().set_multiprocessors(multiprocessors);
  }
  ~Device() {
    state().set_capability(info.capability);
    state().set_multiprocessors(info.multiprocessors);
    state().set_schedule(schedule);
  }
  static emulated::State& state() { return static_cast<emulated::State&>(*kernels::test::device_state()); }

  DeviceInfo info = state().info();
  emulated::Schedule schedule = state().schedule();
  kernels::test::Runner runner{Target::emulated};
  Context& context = runner.context;
  size_t runs = 0;
};

/// The sum that defines range `i` of a convolution, in double.
template <class T>
Values definition(const Convolution<T, T>& c, int i) {
  const ColumnRange<T, T>& range = c.range[i];
  const FilterOrder& order = c.filter;
  Values values;
  for (int64_t n = 0; n < range.out.n; ++n) {
    for (int64_t p = 0; p < range.out.h; ++p) {
      for (int64_t q = 0; q < range.out.w; ++q) {
        for (int64_t k = 0; k < range.out.c; ++k) {
          const int64_t j = range.begin + k;
          const float* column =
              order.w + j / order.period * order.period_stride + j % order.period * order.column_stride;
          double sum = c.b == nullptr ? 0 : c.b[j % order.period];
          for (int64_t tap = 0; tap < c.taps_h * c.taps_w; ++tap) {
            const int64_t h = c.stride * p + tap / c.taps_w - c.pad_h, w = c.stride * q + tap % c.taps_w - c.pad_w;
            if (h < 0 || h >= c.x.h || w < 0 || w >= c.x.w) continue;
            const float* factors = column + tap * order.tap_stride;
            for (int64_t ch = 0; ch < c.x.c; ++ch) sum += double{c.x(n, h, w, ch)} * factors[ch * order.channel_stride];
            for (int64_t ch = 0; c.x2 && ch < c.x2.c; ++ch) {
              sum += double{c.x2(n, h, w, ch)} * factors[(c.x.c + ch) * order.channel_stride];
            }
          }
          if (c.relu && sum < 0) sum = 0;
          if (range.x && !(static_cast<float>(range.x(n, p, q, k)) > 0)) sum = 0;
          values.push_back(static_cast<double>(static_cast<T>(static_cast<float>(sum))));
        }
      }
    }
  }
  return values;
}

/// Operands of a convolution, integers so small that every sum is exact.
template <class T>
class Operands {
 public:
  View<T> image(Extent extent, int low = -3, int high = 3, Storage storage = Storage::nhwc) {
    const Values values = low == high ? Values{} : integers(extent, ++seed_, low, high);
    images_.push_back(low == high ? std::make_unique<Buffer<T>>(storage, extent)
                                  : std::make_unique<Buffer<T>>(storage, extent, values));
    return *images_.back();
  }
  /// To be written by the kernel.
  View<T> result(Extent extent, Storage storage = Storage::nhwc) { return image(extent, 0, 0, storage); }
  View<float> parameter(Extent extent) {
    parameters_.push_back(std::make_unique<Buffer<float>>(Storage::nhwc, extent, integers(extent, ++seed_, -2, 2)));
    return *parameters_.back();
  }
  bool intact() const {
    return std::all_of(images_.begin(), images_.end(), [](const auto& image) { return image->intact(); });
  }

 private:
  uint32_t seed_ = 0;
  std::vector<std::unique_ptr<Buffer<T>>> images_;
  std::vector<std::unique_ptr<Buffer<float>>> parameters_;
};

template <class T>
Values values_of(const View<T>& v) {
  Values values;
  for (int64_t n = 0; n < v.n; ++n) {
    for (int64_t h = 0; h < v.h; ++h) {
      for (int64_t w = 0; w < v.w; ++w) {
        for (int64_t c = 0; c < v.c; ++c) values.push_back(static_cast<double>(v(n, h, w, c)));
      }
    }
  }
  return values;
}

/// The most promising plan of each tile, with parts or without.
template <class T>
std::vector<sm90::Plan> best_of_each_tile(Device& device, const Convolution<T, T>& c, bool with_splits) {
  std::vector<sm90::Plan> best;
  for (const sm90::Plan& plan : sm90::plans(device.context, c)) {
    const bool is_new = std::none_of(best.begin(), best.end(), [&](const auto& b) { return b.tile == plan.tile; });
    if (is_new && (plan.splits > 1) == with_splits) best.push_back(plan);
  }
  return best;
}

/// Computes it in every tile, under schedules in turn, and compares it with its definition.
template <class T>
void require_exact(Device& device, const Operands<T>& operands, const Convolution<T, T>& c, bool with_splits = false) {
  std::array<Values, 4> expected;
  for (int i = 0; i < c.ranges; ++i) expected[static_cast<size_t>(i)] = definition(c, i);
  const std::vector<sm90::Plan> plans = best_of_each_tile(device, c, with_splits);
  REQUIRE(plans.size() >= 4);
  for (const sm90::Plan& plan : plans) {
    Device::state().set_schedule(emulated::kSchedules[++device.runs % std::size(emulated::kSchedules)]);
    INFO("tile " << plan.tile << ", patches of " << plan.height << "x" << plan.width << ", " << plan.splits
                 << " parts, " << Device::state().schedule().name());
    sm90::convolve(device.context, c, plan);
    device.context.state->synchronize();
    REQUIRE(operands.intact());
    for (int i = 0; i < c.ranges; ++i) {
      if (!c.range[i].out) continue;
      kernels::test::require_equal(values_of(c.range[i].out), expected[static_cast<size_t>(i)]);
    }
  }
}

/// Conv2d of [n,h,w,c1] and, with c2 > 0, [n,h,w,c2].
struct Sizes {
  int64_t n = 1, h = 10, w = 11, c1 = 64, c2 = 0, k = 64;
  int rows = 3, columns = 3;
};

template <class T>
Convolution<T, T> forward(Operands<T>& operands, const Sizes& s, Storage storage = Storage::nhwc) {
  const int64_t c = s.c1 + s.c2;
  const View<float> w = operands.parameter({s.k, s.rows, s.columns, c});
  Convolution<T, T> convolution{.x = operands.image({s.n, s.h, s.w, s.c1}),
                                .taps_h = s.rows,
                                .taps_w = s.columns,
                                .filter = {.w = w.data,
                                           .period = s.k,
                                           .column_stride = s.rows * s.columns * c,
                                           .tap_stride = c,
                                           .channel_stride = 1},
                                .b = operands.parameter({1, 1, 1, s.k}).data,
                                .relu = true,
                                .columns = static_cast<int>(s.k)};
  if (s.c2 > 0) convolution.x2 = operands.image({s.n, s.h, s.w, s.c2}, -3, 3, storage);
  convolution.range[0].out = operands.result({s.n, s.h - s.rows + 1, s.w - s.columns + 1, s.k}, storage);
  return convolution;
}

/// The gradient of forward() with respect to both of its sources, each behind a ReLU.
template <class T>
Convolution<T, T> data_gradient(Operands<T>& operands, const Sizes& s, Storage storage = Storage::nhwc) {
  const int64_t c = s.c1 + s.c2, taps = s.rows * s.columns;
  const View<float> w = operands.parameter({s.k, s.rows, s.columns, c});
  Convolution<T, T> convolution{.x = operands.image({s.n, s.h - s.rows + 1, s.w - s.columns + 1, s.k}),
                                .taps_h = s.rows,
                                .taps_w = s.columns,
                                .pad_h = s.rows - 1,
                                .pad_w = s.columns - 1,
                                .filter = {.w = w.data + (taps - 1) * c,
                                           .period = c,
                                           .column_stride = 1,
                                           .tap_stride = -c,
                                           .channel_stride = taps * c},
                                .columns = static_cast<int>(c),
                                .ranges = s.c2 > 0 ? 2 : 1};
  int begin = 0;
  for (int i = 0; i < convolution.ranges; ++i) {
    const Extent extent{s.n, s.h, s.w, i == 0 ? s.c1 : s.c2};
    convolution.range[i] = {begin, operands.result(extent, storage), operands.image(extent, -2, 2, storage)};
    begin += static_cast<int>(extent.c);
  }
  return convolution;
}

/// Every second pixel from row a and column d on.
template <class T>
View<T> every_second(View<T> v, int64_t a, int64_t d) {
  v.data += a * v.stride_h + d * v.stride_w;
  v.h /= 2, v.w /= 2, v.stride_h *= 2, v.stride_w *= 2;
  return v;
}

/// ConvTranspose2d of [n,h,w,c1].
template <class T>
Convolution<T, T> transposed(Operands<T>& operands, const Sizes& s) {
  const View<float> w = operands.parameter({s.k, 2, 2, s.c1});
  const View<T> y = operands.result({s.n, 2 * s.h, 2 * s.w, s.k});
  Convolution<T, T> convolution{
      .x = operands.image({s.n, s.h, s.w, s.c1}),
      .filter = {.w = w.data, .period = s.k, .period_stride = s.c1, .column_stride = 4 * s.c1, .channel_stride = 1},
      .b = operands.parameter({1, 1, 1, s.k}).data,
      .columns = static_cast<int>(4 * s.k),
      .ranges = 4};
  for (int i = 0; i < 4; ++i) convolution.range[i] = {i * static_cast<int>(s.k), every_second(y, i / 2, i % 2)};
  return convolution;
}

/// Its gradient with respect to x.
template <class T>
Convolution<T, T> transposed_data_gradient(Operands<T>& operands, const Sizes& s) {
  const View<float> w = operands.parameter({s.k, 2, 2, s.c1});
  Convolution<T, T> convolution{
      .x = operands.image({s.n, 2 * s.h, 2 * s.w, s.k}),
      .taps_h = 2,
      .taps_w = 2,
      .stride = 2,
      .filter = {.w = w.data, .period = s.c1, .column_stride = 1, .tap_stride = s.c1, .channel_stride = 4 * s.c1},
      .columns = static_cast<int>(s.c1)};
  convolution.range[0].out = operands.result({s.n, s.h, s.w, s.c1});
  return convolution;
}

}  // namespace

TEST_CASE("conv2d of capability 9.0: bf16 results are exact in every tile") {
  const std::array<Sizes, 6> sizes{{{.n = 2, .h = 20, .w = 19},
                                    {.h = 36, .w = 12, .c2 = 72, .k = 72},
                                    {.h = 12, .w = 37, .c1 = 72, .k = 200},
                                    {.h = 9, .w = 9, .c1 = 128, .k = 128, .rows = 1, .columns = 1},
                                    {.h = 12, .w = 11, .k = 64, .rows = 5, .columns = 2},
                                    {.n = 3, .h = 3, .w = 3}}};
  Device device;
  for (const Sizes& s : sizes) {
    CAPTURE(s.h, s.w, s.c1, s.c2, s.k);
    Operands<bf16> operands;
    require_exact(device, operands, forward(operands, s, s.c2 > 0 ? Storage::nhwc_crop : Storage::nhwc));
  }
}

TEST_CASE("conv2d of capability 9.0: data gradients reach both sources, behind a ReLU or not") {
  Device device;
  for (const Sizes& s : {Sizes{.n = 2, .h = 20, .w = 11}, Sizes{.c1 = 72, .c2 = 64, .k = 72}}) {
    CAPTURE(s.h, s.w, s.c1, s.c2, s.k);
    Operands<bf16> operands;
    Convolution<bf16, bf16> c = data_gradient(operands, s, Storage::nhwc_crop);
    require_exact(device, operands, c);
    c.range[0].x = {};
    require_exact(device, operands, c);
  }
}

TEST_CASE("conv_transpose2d of capability 9.0: four interleaved results, and sources in the gradient") {
  Device device;
  for (const Sizes& s : {Sizes{.n = 2, .h = 9, .w = 8}, Sizes{.h = 5, .w = 18, .c1 = 72, .k = 80}}) {
    CAPTURE(s.h, s.w, s.c1, s.k);
    Operands<bf16> operands;
    require_exact(device, operands, transposed(operands, s));
    require_exact(device, operands, transposed_data_gradient(operands, s));
  }
}

TEST_CASE("conv2d of capability 9.0: tf32") {
  Device device;
  device.context.tf32 = true;
  Operands<float> operands;
  require_exact(device, operands, forward(operands, {.h = 19, .c1 = 32, .c2 = 36, .k = 68}, Storage::nhwc_crop));
  require_exact(device, operands, forward(operands, {.c1 = 36, .k = 68}), /*with_splits=*/true);
  require_exact(device, operands, data_gradient(operands, {.c1 = 36, .c2 = 32, .k = 40}));
  require_exact(device, operands, transposed(operands, {.c1 = 36, .k = 40}));
}

TEST_CASE("conv2d of capability 9.0: sums in parts are added in a second pass") {
  Device device;
  Operands<bf16> operands;
  require_exact(device, operands, forward(operands, {.n = 2, .h = 7, .w = 6, .c2 = 72, .k = 72}), true);
  require_exact(device, operands, data_gradient(operands, {.h = 8, .w = 15, .c2 = 72, .k = 136}), true);
}

TEST_CASE("conv2d of capability 9.0: pooled results are the maxima of the stored ones") {
  Device device;
  for (const bool is_stored : {true, false}) {
    for (const Extent& size : {Extent{2, 21, 20}, Extent{1, 7, 36}}) {
      CAPTURE(is_stored, size);
      Operands<bf16> operands;
      Convolution<bf16, bf16> c = forward(operands, {.n = size.n, .h = size.h, .w = size.w, .k = 72});
      c.relu = false;
      const View<bf16> y = c.range[0].out;
      const Extent extent{y.n, y.h / 2, y.w / 2, y.c};
      const Values expected = definition(c, 0);
      Values maxima, codes;
      for (int64_t n = 0; n < extent.n; ++n) {
        for (int64_t i = 0; i < extent.h; ++i) {
          for (int64_t j = 0; j < extent.w; ++j) {
            for (int64_t k = 0; k < extent.c; ++k) {
              std::array<double, 4> window{};
              for (int64_t a = 0; a < 4; ++a) {
                const int64_t pixel = (n * y.h + 2 * i + a / 2) * y.w + 2 * j + a % 2;
                window[static_cast<size_t>(a)] = expected[static_cast<size_t>(pixel * y.c + k)];
              }
              const auto largest = std::max_element(window.begin(), window.end());
              maxima.push_back(*largest);
              codes.push_back(static_cast<double>(largest - window.begin()));
            }
          }
        }
      }
      if (!is_stored) c.range[0].out.data = nullptr;
      c.pooled = operands.result(extent);
      const std::vector<sm90::Plan> plans = best_of_each_tile(device, c, false);
      REQUIRE(plans.size() >= 4);
      for (const sm90::Plan& plan : plans) {
        CAPTURE(plan.tile, plan.height, plan.width);
        Device::state().set_schedule(emulated::kSchedules[++device.runs % std::size(emulated::kSchedules)]);
        const Buffer<bf16> pooled(Storage::nhwc, extent);
        const Buffer<uint8_t> code(Storage::nhwc, extent);
        c.pooled = pooled, c.pool_code = code;
        sm90::convolve(device.context, c, plan);
        device.context.state->synchronize();
        if (is_stored) kernels::test::require_equal(values_of(y), expected);
        kernels::test::require_equal(pooled.values(), maxima);
        kernels::test::require_equal(code.values(), codes);
        REQUIRE((pooled.intact() && code.intact() && operands.intact()));
      }
    }
  }
}

TEST_CASE("conv2d of capability 9.0: sums do not depend on schedule and tile, nor in direct mode on the device") {
  Device device;
  Operands<bf16> operands;
  Convolution<bf16, bf16> c = forward(operands, {.h = 12, .w = 20, .c1 = 136, .k = 72});
  const Buffer<bf16> x(Storage::nhwc, {1, 12, 20, 136}, kernels::test::randoms<bf16>({1, 12, 20, 136}, 1, -1, 1));
  c.x = x;
  Values first;
  const auto require_same = [&](const sm90::Plan& plan) {
    sm90::convolve(device.context, c, plan);
    device.context.state->synchronize();
    const Values values = values_of(c.range[0].out);
    if (first.empty()) first = values;
    kernels::test::require_equal(values, first);
  };
  for (const emulated::Schedule& schedule : emulated::kSchedules) {
    Device::state().set_schedule(schedule);
    require_same(best_of_each_tile(device, c, false).front());
  }
  for (const sm90::Plan& plan : best_of_each_tile(device, c, false)) require_same(plan);
  device.context.convolution = ConvolutionMode::direct;
  Device::state().set_multiprocessors(64);
  sm90::Plan plan;
  REQUIRE(sm90::choose(device.context, c, plan));
  require_same(plan);
}

/// What both convolutions give on a target: results, maxima and codes, gradients of the sources.
template <class T>
std::vector<Values> results_of(Context& context, const std::function<Values(Extent)>& draw) {
  const Extent x_extent{1, 12, 11, 64}, x2_extent{1, 12, 11, 72}, y_extent{1, 10, 9, 80}, pooled_extent{1, 5, 4, 80};
  const Extent filter{80, 3, 3, 136}, up_extent{1, 20, 18, 64}, up_filter{64, 2, 2, 80};
  const Buffer<T> x(Storage::nhwc, x_extent, draw(x_extent)), x2(Storage::nhwc_crop, x2_extent, draw(x2_extent));
  const Buffer<float> w(Storage::nhwc, filter, draw(filter)), b(Storage::nhwc, {1, 1, 1, 80}, draw({1, 1, 1, 80}));
  const Buffer<T> y(Storage::nhwc, y_extent), pooled(Storage::nhwc, pooled_extent);
  const Buffer<uint8_t> code(Storage::nhwc, pooled_extent);
  run(context, Conv2d<T>{.x = x, .x2 = x2, .w = w, .b = b, .y = y, .relu = true, .pooled = pooled, .pool_code = code});
  const Buffer<T> dy(Storage::nhwc, y_extent, draw(y_extent)), dx(Storage::nhwc, x_extent);
  const Buffer<T> dx2(Storage::nhwc_crop, x2_extent);
  run(context, Conv2dBackward<T>{
                   .x = x, .x2 = x2, .w = w, .y = y, .dy = dy, .dx = dx, .dx2 = dx2, .relu_x = false, .relu_x2 = true});
  const Buffer<T> up_x(Storage::nhwc, y_extent, draw(y_extent)), up_y(Storage::nhwc, up_extent);
  const Buffer<float> up_w(Storage::nhwc, up_filter, draw(up_filter));
  run(context, ConvTranspose2d<T>{.x = up_x, .w = up_w, .y = up_y});
  const Buffer<T> up_dy(Storage::nhwc, up_extent, draw(up_extent)), up_dx(Storage::nhwc, y_extent);
  run(context, ConvTranspose2dBackward<T>{.x = up_x, .w = up_w, .dy = up_dy, .dx = up_dx});
  context.state->synchronize();
  return {y.values(), pooled.values(), code.values(), dx.values(), dx2.values(), up_y.values(), up_dx.values()};
}

TEST_CASE("conv2d of capability 9.0: the operations use it") {
  uint32_t seed = 0;
  const auto draw_integers = [&](Extent extent) { return integers(extent, ++seed, -2, 2); };
  const auto draw_numbers = [&](Extent extent) { return kernels::test::randoms<float>(extent, ++seed, -1, 1); };
  kernels::test::Runner reference(Target::reference);
  const std::vector<Values> expected = results_of<bf16>(reference.context, draw_integers);
  Device device;
  seed = 0;
  const std::vector<Values> results = results_of<bf16>(device.context, draw_integers);
  for (size_t i = 0; i < results.size(); ++i) {
    CAPTURE(i);
    kernels::test::require_equal(results[i], expected[i]);
  }

  // Other kernels add in another order: had they run, every bit would be the same.
  device.context.tf32 = true;
  seed = 0;
  const std::vector<Values> numbers = results_of<float>(device.context, draw_numbers);
  Device::state().set_capability(80);
  seed = 0;
  const std::vector<Values> others = results_of<float>(device.context, draw_numbers);
  for (const size_t i : {0, 3, 4, 5, 6}) {
    CAPTURE(i);
    CHECK(numbers[i] != others[i]);
    kernels::test::require_close(numbers[i], others[i], 1e-2, 1);
  }
}

TEST_CASE("conv2d of capability 9.0: other devices and operands that TMA cannot read are left to other kernels") {
  Device device;
  Operands<bf16> operands;
  const Convolution<bf16, bf16> c = forward(operands, {.c2 = 64});
  const auto is_taken = [&](const auto& convolution) {
    sm90::Plan plan;
    const bool chosen = sm90::choose(device.context, convolution, plan);
    CHECK(chosen == !sm90::plans(device.context, convolution).empty());
    return chosen;
  };
  REQUIRE(is_taken(c));
  for (const int capability : {80, 89, 100}) {
    Device::state().set_capability(capability);
    CHECK_FALSE(is_taken(c));
  }
  Device::state().set_capability(90);
  const auto refused = [&](const auto& change) {
    Convolution<bf16, bf16> other = c;
    change(other);
    return !is_taken(other);
  };
  CHECK(refused([](auto& o) { ++o.x.data; }));
  CHECK(refused([](auto& o) { o.x2.stride_w += 4; }));
  CHECK(refused([](auto& o) { o.x.stride_h += 2; }));
  CHECK(refused([](auto& o) { o.x.c = o.x.block = 56; }));
  CHECK(refused([](auto& o) { o.range[0].out.c = o.range[0].out.block = 60; }));
  CHECK(refused([](auto& o) { o.range[0].out.data += 4; }));
  CHECK(refused([](auto& o) { o.stride = 2; }));
  CHECK(refused([](auto& o) { o.taps_h = 14; }));
  Operands<float> floats;
  const Convolution<float, float> f = forward(floats, {});
  CHECK_FALSE(is_taken(f));
  device.context.tf32 = true;
  CHECK(is_taken(f));
}

}  // namespace unet::kernels::gpu::test
