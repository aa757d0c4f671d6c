// What no host target has: fewer threads than elements, and operations that are recorded now and executed later.
#include "kernels/add.h"
#include "kernels/cast.h"
#include "kernels/dropout.h"
#include "kernels/fill.h"
#include "kernels/max_pool2d.h"
#include "kernels/reduce.h"
#include "kernels/relu.h"
#include "kernels/softmax.h"
#include "kernels/softmax_cross_entropy.h"
#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

TEST_CASE("device: a thread takes several elements where there are more than the device is given threads for") {
  // Launchers start at most 128 blocks of 256 threads a multiprocessor.
  const int64_t threads = int64_t{128} * 256 * device_state()->info().multiprocessors;
  const Shape shape{1, 3, threads / 2 + 19, 1}, half{1, 1, (threads / 2 + 19) / 2, 1};
  const Values x = integers(shape, 1, -8, 8);
  const auto count = static_cast<size_t>(shape.size());
  Runner run(kTarget);
  const Buffer<float> in(Storage::nhwc_crop, shape, x), out(Storage::nhwc_shifted, shape);

  run(Relu<float>{.x = in, .y = out});
  require_equal(out.values(), mapped(x, [](double v) { return std::max(v, 0.0); }));
  run(Add<float>{.a = in, .b = out, .y = out});
  require_equal(out.values(), mapped(x, [](double v) { return v + std::max(v, 0.0); }));
  const Buffer<bf16> narrow(Storage::nhwc_shifted, shape);
  run(Cast<float, bf16>{.x = in, .y = narrow});
  require_equal(narrow.values(), x);

  const PhiloxKey key{.seed = 1, .purpose = 2, .step = 3};
  run(Dropout<float>{.x = in, .y = out, .p = 0.5, .key = key});
  Values dropped = x;
  for (size_t i = 0; i < count; ++i) dropped[i] *= uniform(philox(key, i / 4).word[i % 4]) >= 0.5F ? 2 : 0;
  require_equal(out.values(), dropped);

  const Buffer<double> sum(Storage::nhwc, {});
  run(Reduce<float>{.x = in, .reduction = Reduction::sum_of_squares, .result = sum.view().data});
  require_equal(sum.values(), {dot(x, x)});
  run(Softmax<float>{.x = in, .y = out});
  require_equal(out.values(), Values(count, 1));
  run(Fill<float>{.y = out, .value = 5});
  require_equal(out.values(), Values(count, 5));
  REQUIRE((in.intact() && out.intact() && narrow.intact()));

  const Buffer<float> pooled(Storage::nhwc_shifted, half), dx(Storage::nhwc_crop, shape);
  const Buffer<uint8_t> code(Storage::nhwc_shifted, half);
  run(MaxPool2d<float>{.x = in, .y = pooled, .code = code});
  run(MaxPool2dBackward<float>{.code = code, .dy = pooled, .dx = dx});
  const Values maxima = pooled.values(), gradient = dx.values();
  double expected = 0;
  for (size_t i = 0; i < maxima.size(); ++i) {
    const size_t row = static_cast<size_t>(shape.w), at = 2 * i;
    const double highest = std::max({x[at], x[at + 1], x[at + row], x[at + row + 1]});
    if (maxima[i] != highest) FAIL("maximum " << i << ": expected " << highest << ", got " << maxima[i]);
    expected += highest * highest;
  }
  REQUIRE(dot(gradient, x) == expected);
  REQUIRE((pooled.intact() && code.intact() && dx.intact()));
}

TEST_CASE("device: rows, columns and images at odd distances") {
  // Whether 16 bytes can move at once depends on every stride, not only on channels and base: each is odd by itself.
  const Shape shape{2, 3, 4, 16};
  const Values x = integers(shape, 1, -9, 9);
  Runner run(kTarget);
  for (const auto& [pixel_gap, row_gap, image_gap] :
       {std::array{1, 0, 0}, std::array{0, 1, 5}, std::array{0, 0, 1}, std::array{0, 4, 2}, std::array{4, 0, 8}}) {
    CAPTURE(pixel_gap, row_gap, image_gap);
    const auto view_in = [&](const Buffer<float>& memory) {
      auto view = View<float>::nhwc(memory.view().data, shape.n, shape.h, shape.w, shape.c);
      view.stride_w += pixel_gap;
      view.stride_h = view.w * view.stride_w + row_gap;
      view.stride_n = view.h * view.stride_h + image_gap;
      return view;
    };
    const Buffer<float> dense(Storage::nhwc, shape, x), result(Storage::nhwc, shape);
    const Buffer<float> from(Storage::nhwc, {1, 1, 1, 1000}), to(Storage::nhwc, {1, 1, 1, 1000});
    run(Cast<float, float>{.x = dense, .y = view_in(from)});
    run(Cast<float, float>{.x = view_in(from), .y = view_in(to)});
    run(Cast<float, float>{.x = view_in(to), .y = result});
    require_equal(result.values(), x);
  }
}

/// Scratch memory stays where it is, as it does in an arena whose owner keeps the memory that a capture used.
class KeptWorkspace : public TestWorkspace {
 public:
  void release(void*) noexcept override {}
};

TEST_CASE("device: a captured loss, its gradient and dropout follow their operands in memory") {
  auto& state = *device_state();
  if (!state.can_capture()) FAIL("expected a device target to capture");
  const Shape shape{2, 9, 11, 3}, plane{2, 9, 11, 1};
  const Buffer<float> x(Storage::nhwc, shape), loss(Storage::nhwc, {}), dx(Storage::nhwc, shape);
  const Buffer<float> dropped(Storage::nhwc_crop, shape);
  const Buffer<int32_t> labels(Storage::nhwc, plane);
  const Buffer<uint32_t> step(Storage::nhwc, {});
  const Buffer<double> norm(Storage::nhwc, {});
  const SoftmaxCrossEntropy<float> cross_entropy{.x = x, .labels = labels, .weights = {}, .loss = loss, .dx = dx};
  Dropout<float> dropout{.x = dx, .y = dropped, .p = 0.5, .key = {.seed = 4, .purpose = 5}, .step = step.view().data};
  const Reduce<float> reduce{.x = dropped, .reduction = Reduction::sum_of_squares, .result = norm.view().data};

  KeptWorkspace workspace;
  Runner run(kTarget);
  Context context = run.context;
  context.workspace = &workspace;
  state.begin_capture();
  kernels::run(context, cross_entropy);
  kernels::run(context, dropout);
  kernels::run(context, reduce);
  const auto graph = state.end_capture();

  for (uint32_t round = 0; round < 3; ++round) {
    CAPTURE(round);
    x.assign(randoms<float>(shape, round, -3, 3));
    labels.assign(integers(plane, round + 10, -1, 2));
    step.assign({static_cast<double>(round)});
    state.replay(*graph);
    state.synchronize();
    const Values got_loss = loss.values(), got_dx = dx.values(), got_dropped = dropped.values(), got = norm.values();
    run(cross_entropy), run(dropout), run(reduce);
    require_equal(got_loss, loss.values());
    require_equal(got_dx, dx.values());
    require_equal(got_dropped, dropped.values());
    require_equal(got, norm.values());
    REQUIRE(got[0] > 0);
  }
  labels.assign(Values(static_cast<size_t>(plane.size()), 7));
  state.replay(*graph);
  REQUIRE_THROWS_AS(state.synchronize(), DataError);
}

}  // namespace
}  // namespace unet::kernels::test
