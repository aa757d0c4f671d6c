// The own Winograd convolution against the reference target, and what it promises beside numbers.
#include "kernels/cpu/winograd.h"

#include "kernels/conv2d.h"
#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

/// Of the largest output; the header's promise.
constexpr double kTolerance = 2e-5;

struct Case {
  int64_t n, h, w, c1, c2, k;
  Storage storage;

  Shape x() const { return {n, h, w, c1}; }
  Shape x2() const { return {n, h, w, c2}; }
  Shape y() const { return {n, h - 2, w - 2, k}; }
  Shape filter() const { return {k, 3, 3, c1 + c2}; }
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.x() << " and " << c.c2 << " channels to " << c.k << ", " << c.storage;
}

const std::vector<Case> kCases{
    {1, 3, 3, 16, 0, 16, Storage::blocked},          // one output
    {1, 6, 6, 1, 0, 2, Storage::blocked},            // one whole tile
    {2, 7, 9, 5, 0, 17, Storage::blocked_crop},      // cut tiles, padded channels
    {2, 13, 22, 16, 16, 48, Storage::blocked_crop},  // two sources, an odd output block
    {1, 70, 70, 48, 0, 16, Storage::blocked},        // each thread its own blocks
    {1, 60, 62, 128, 0, 33, Storage::blocked_crop},  // the same, one part of input channels
    {1, 12, 12, 160, 96, 65, Storage::blocked},      // shared blocks, two parts of input channels
    {1, 48, 50, 544, 0, 16, Storage::blocked_crop},  // more tiles than one shared block
    {1, 10, 10, 1024, 0, 32, Storage::blocked},      // the bottleneck's sums
    {1, 8, 8, 256, 32, 288, Storage::blocked_crop}   // filters transformed part by part
};

/// Operands of all passes: inputs as after a ReLU, filters initialised as the U-Net's.
struct Operands {
  explicit Operands(const Case& c)
      : x(c.storage, c.x(), rectified(c.x(), 1)),
        x2(c.storage, c.x2(), rectified(c.x2(), 2)),
        w(Storage::nhwc, c.filter(), filters(c)),
        b(Storage::nhwc, {1, 1, 1, c.k}, randoms<float>({1, 1, 1, c.k}, 4, -1, 1)),
        g(c.storage, c.y(), randoms<float>(c.y(), 5, -1, 1)),
        has_x2(c.c2 > 0) {}

  static Values rectified(Shape shape, uint32_t seed) {
    Values values = randoms<float>(shape, seed, -1, 2);
    for (double& v : values) v = std::max(v, 0.0);
    return values;
  }
  static Values filters(const Case& c) {
    const double bound = std::sqrt(6.0 / (9.0 * static_cast<double>(c.c1 + c.c2)));
    return randoms<float>(c.filter(), 3, -bound, bound);
  }

  Conv2d<float> forward(const Buffer<float>& y, bool relu) const {
    Conv2d<float> op;
    op.x = x, op.x2 = source2(), op.w = w, op.b = b, op.y = y, op.relu = relu;
    return op;
  }
  Conv2dBackward<float> backward() const {
    Conv2dBackward<float> op;
    op.x = x, op.x2 = source2(), op.w = w, op.dy = g;
    return op;
  }
  View<const float> source2() const { return has_x2 ? View<const float>(x2) : View<const float>(); }

  Buffer<float> x, x2, w, b, g;
  bool has_x2;
};

struct Results {
  Values y, dx, dx2, dw;
};

/// All passes; outputs are poisoned before and their surroundings intact after.
template <class Forward, class Backward>
Results results_of(const Case& c, Forward&& forward, Backward&& backward, bool relu = false) {
  const Operands in(c);
  const Buffer<float> y(c.storage, c.y()), dx(c.storage, c.x()), dx2(c.storage, c.x2()), dw(Storage::nhwc, c.filter());
  forward(in.forward(y, relu));
  Conv2dBackward<float> op = in.backward();
  op.dx = dx, op.dw = dw;
  if (c.c2 > 0) op.dx2 = dx2;
  backward(op);
  REQUIRE(y.intact());
  REQUIRE(dx.intact());
  REQUIRE(dw.intact());
  REQUIRE(dx2.intact());
  return {y.values(), dx.values(), c.c2 > 0 ? dx2.values() : Values{}, dw.values()};
}

Results expected(const Case& c, bool relu = false) {
  Runner reference(Target::reference);
  return results_of(c, reference, reference, relu);
}

Results actual(const Case& c, int threads, bool relu = false) {
  TestWorkspace workspace;
  Context context;
  context.threads = threads;
  context.workspace = &workspace;
  const auto forward = [&](const Conv2d<float>& op) { winograd::forward(context, op); };
  const auto backward = [&](const Conv2dBackward<float>& op) {
    winograd::backward_data(context, op);
    winograd::backward_filter(context, op);
  };
  Results results = results_of(c, forward, backward, relu);
  REQUIRE(workspace.is_empty());
  return results;
}

bool is_computed_here() {
  const Operands in({1, 6, 6, 16, 0, 16, Storage::blocked});
  const Buffer<float> y(Storage::blocked, {1, 4, 4, 16});
  if (winograd::supports(in.forward(y, false))) return true;
  WARN("no AVX-512 here: the Winograd convolution is not tested");
  return false;
}

}  // namespace

TEST_CASE("Winograd convolution equals the reference in every pass") {
  if (!is_computed_here()) return;
  for (const Case& c : kCases) {
    INFO(c);
    const Results is = actual(c, 2), should = expected(c);
    for (const auto member : {&Results::y, &Results::dx, &Results::dx2, &Results::dw}) {
      double largest = 0;
      for (const double v : should.*member) largest = std::max(largest, std::abs(v));
      require_close(is.*member, should.*member, kTolerance, largest);
    }
  }
}

TEST_CASE("Winograd convolution does not depend on the number of threads") {
  if (!is_computed_here()) return;
  for (const Case& c : kCases) {
    INFO(c);
    const Results one = actual(c, 1), three = actual(c, 3);
    for (const auto member : {&Results::y, &Results::dx, &Results::dx2, &Results::dw}) {
      require_equal(three.*member, one.*member);
    }
  }
}

TEST_CASE("Winograd convolution with ReLU floors at zero and lets NaN through") {
  if (!is_computed_here()) return;
  const Case c{1, 9, 9, 16, 0, 16, Storage::blocked};
  Values floored = actual(c, 1).y;
  for (double& v : floored) v = std::max(v, 0.0);
  require_equal(actual(c, 1, true).y, floored);

  Operands in(c);
  Values x = in.x.values();
  x.front() = std::nan("");
  in.x.assign(x);
  const Buffer<float> y(c.storage, c.y());
  TestWorkspace workspace;
  Context context;
  context.workspace = &workspace;
  winograd::forward(context, in.forward(y, true));
  REQUIRE(std::isnan(y.values().front()));
}

TEST_CASE("Winograd convolution with a packed filter gives the same bits") {
  if (!is_computed_here()) return;
  for (const Case& c : {Case{1, 12, 12, 160, 0, 65, Storage::blocked}, Case{1, 70, 70, 16, 16, 48, Storage::blocked}}) {
    INFO(c);
    const Operands in(c);
    TestWorkspace workspace;
    Context context;
    context.workspace = &workspace;
    const auto packed_size = winograd::packed_filter_size(in.w);
    const auto packed = [&](auto pack) {
      auto filter = std::make_unique<Scratch<float>>(workspace, packed_size);
      pack(context, in.w, filter->data());
      return filter;
    };
    const Buffer<float> y(c.storage, c.y()), packed_y(c.storage, c.y());
    winograd::forward(context, in.forward(y, true));
    winograd::forward(context, in.forward(packed_y, true), packed(winograd::pack_forward)->data());
    require_equal(packed_y.values(), y.values());

    const Buffer<float> dx(c.storage, c.x()), packed_dx(c.storage, c.x());
    Conv2dBackward<float> op = in.backward();
    op.dx = dx;
    winograd::backward_data(context, op);
    op.dx = packed_dx;
    winograd::backward_data(context, op, packed(winograd::pack_backward_data)->data());
    require_equal(packed_dx.values(), dx.values());
  }
}

TEST_CASE("Winograd backward-data writes one of two sources alone") {
  if (!is_computed_here()) return;
  const Case c{1, 13, 14, 32, 16, 16, Storage::blocked_crop};
  const Results both = actual(c, 2);
  const Operands in(c);
  const Buffer<float> dx(c.storage, c.x()), dx2(c.storage, c.x2());
  TestWorkspace workspace;
  Context context;
  context.workspace = &workspace;
  Conv2dBackward<float> op = in.backward();
  op.dx = dx;
  winograd::backward_data(context, op);
  op.dx = {}, op.dx2 = dx2;
  winograd::backward_data(context, op);
  require_equal(dx.values(), both.dx);
  require_equal(dx2.values(), both.dx2);
}

TEST_CASE("Winograd convolution tells what it does not compute") {
  const auto supports = [](Shape x, Shape x2, Shape w, Storage storage) {
    const Buffer<float> a(storage, x), b(storage, x2), filter(Storage::nhwc, w);
    const Buffer<float> y(storage, {x.n, x.h - w.h + 1, x.w - w.w + 1, w.n});
    Conv2d<float> op;
    op.x = a, op.w = filter, op.y = y;
    if (x2.c > 0) op.x2 = b;
    return winograd::supports(op);
  };
  REQUIRE_FALSE(supports({1, 8, 8, 16}, {1, 8, 8, 0}, {16, 1, 1, 16}, Storage::blocked));
  REQUIRE_FALSE(supports({1, 8, 8, 16}, {1, 8, 8, 0}, {16, 5, 5, 16}, Storage::blocked));
  REQUIRE_FALSE(supports({1, 8, 8, 16}, {1, 8, 8, 16}, {17, 3, 3, 32}, Storage::nhwc));
  REQUIRE_FALSE(supports({1, 8, 8, 17}, {1, 8, 8, 16}, {16, 3, 3, 33}, Storage::blocked));
  if (!is_computed_here()) return;
  REQUIRE(supports({1, 8, 8, 17}, {1, 8, 8, 0}, {16, 3, 3, 17}, Storage::blocked_crop));
  REQUIRE(supports({1, 8, 8, 16}, {1, 8, 8, 17}, {16, 3, 3, 33}, Storage::blocked));
}

}  // namespace unet::kernels::test
