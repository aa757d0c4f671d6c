#include "kernels/conv_transpose2d.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

struct Case {
  int64_t n = 1, h = 3, w = 4, c = 3, k = 4;

  Shape x() const { return {n, h, w, c}; }
  Shape filter() const { return {k, 2, 2, c}; }
  Shape bias() const { return {1, 1, 1, k}; }
  Shape y() const { return {n, 2 * h, 2 * w, k}; }
};

struct Data {
  Values x, w, b, dy;
};

Data integer_data(const Case& c) {
  return {integers(c.x(), 1, -3, 3), integers(c.filter(), 2, -3, 3), integers(c.bias(), 3, -3, 3),
          integers(c.y(), 4, -3, 3)};
}

Data random_data(const Case& c) {
  return {randoms<float>(c.x(), 1, -1, 1), randoms<float>(c.filter(), 2, -1, 1), randoms<float>(c.bias(), 3, -1, 1),
          randoms<float>(c.y(), 4, -1, 1)};
}

/// The layout in which the target under test computes fastest.
constexpr Storage kFast = kOnDevice ? Storage::nhwc : Storage::blocked;

struct Result {
  Values y, dx, dw, db;
};

template <class T>
Result compute(const Case& c, const Data& data, Target target, Storage storage = kFast, bool relu = false) {
  using A = Accumulate<T>;
  Runner run(target);
  run.context.convolution = ConvolutionMode::direct;
  const Buffer<T> x(storage, c.x(), data.x), y(storage, c.y());
  const Buffer<A> w(Storage::nhwc, c.filter(), data.w), b(Storage::nhwc, c.bias(), data.b);
  FilterCache cache;
  run(ConvTranspose2d<T>{.x = x, .w = w, .b = b, .y = y, .relu = relu, .cache = &cache});
  const Buffer<T> dy(storage, c.y(), data.dy), dx(storage, c.x());
  const Buffer<A> dw(Storage::nhwc, c.filter()), db(Storage::nhwc, c.bias());
  run(ConvTranspose2dBackward<T>{.x = x,
                                 .w = w,
                                 .y = relu ? View<const T>(y) : View<const T>{},
                                 .dy = dy,
                                 .dx = dx,
                                 .dw = dw,
                                 .db = db,
                                 .cache = &cache});
  REQUIRE((y.intact() && dx.intact() && dw.intact() && db.intact()));
  return {y.values(), dx.values(), dw.values(), db.values()};
}

void require_equal(const Result& a, const Result& b) {
  test::require_equal(a.y, b.y);
  test::require_equal(a.dx, b.dx);
  test::require_equal(a.dw, b.dw);
  test::require_equal(a.db, b.db);
}

}  // namespace

TEST_CASE("conv_transpose2d: integer data agree to the last bit over channel counts and layouts, batch 2") {
  for (size_t i = 0; i < kChannels.size(); ++i) {
    for (size_t j = 0; j < kChannels.size(); ++j) {
      const Case c{.n = 2, .c = kChannels[i], .k = kChannels[j]};
      CAPTURE(c.c, c.k);
      const Data data = integer_data(c);
      const bool relu = (i + j) % 2 == 0;
      const Storage storage = kStorages[(i + 3 * j) % kStorages.size()];
      CAPTURE(storage, relu);
      require_equal(compute<float>(c, data, kTarget, storage, relu),
                    compute<float>(c, data, Target::reference, Storage::nhwc, relu));
    }
  }
}

TEST_CASE("conv_transpose2d: one pixel spreads to four with the filter's numbers") {
  // x = 1 in one channel: y[a][d][k] = w[k,a,d] + b[k].
  const Case c{.n = 1, .h = 1, .w = 1, .c = 1, .k = 2};
  const Data data{{1}, {1, 2, 3, 4, 5, 6, 7, 8}, {10, 20}, integers(c.y(), 4, -3, 3)};
  for (const Target target : kTargets) {
    test::require_equal(compute<float>(c, data, target, Storage::nhwc).y, {11, 25, 12, 26, 13, 27, 14, 28});
  }
}

TEST_CASE("conv_transpose2d: real data within the bound of a float32 sum, bf16 within its rounding") {
  const Case c{.h = 9, .w = 11, .c = 64, .k = 32};
  const Data data = random_data(c);
  Data magnitude = data;
  for (Values* v : {&magnitude.x, &magnitude.w, &magnitude.b, &magnitude.dy}) {
    *v = mapped(*v, [](double a) { return std::abs(a); });
  }
  const Result expected = compute<double>(c, data, Target::reference, Storage::nhwc);
  const Result sums = compute<double>(c, magnitude, Target::reference, Storage::nhwc);
  const Result actual = compute<float>(c, data, kTarget);
  const auto within = [](const Values& a, const Values& e, const Values& s, int64_t terms) {
    for (size_t i = 0; i < e.size(); ++i) {
      if (!(std::abs(a[i] - e[i]) <= static_cast<double>(terms + 2) * 0x1p-24 * s[i])) {
        FAIL("element " << i << ": " << a[i] << " for " << e[i]);
      }
    }
  };
  within(actual.y, expected.y, sums.y, c.c);
  within(actual.dx, expected.dx, sums.dx, 4 * c.k);
  within(actual.dw, expected.dw, sums.dw, c.h * c.w);
  within(actual.db, expected.db, sums.db, 4 * c.h * c.w);

  const Result rounded = compute<bf16>(c, data, Target::reference, Storage::nhwc);
  const Result fast = compute<bf16>(c, data, kTarget);
  for (const auto& [a, e] : {std::pair{&fast.y, &rounded.y}, std::pair{&fast.dx, &rounded.dx},
                             std::pair{&fast.dw, &rounded.dw}, std::pair{&fast.db, &rounded.db}}) {
    require_close(*a, *e, 0x1p-7, *std::max_element(e->begin(), e->end()));
  }
}

TEST_CASE("conv_transpose2d: gradients by finite differences of the double reference") {
  const Case c{.n = 2, .h = 2, .w = 3, .c = 2, .k = 3};
  const Data data = random_data(c);
  const Result result = compute<double>(c, data, Target::reference, Storage::nhwc);
  const auto loss_with = [&](Values Data::*member) {
    return [&, member](const Values& v) {
      Data changed = data;
      changed.*member = v;
      return dot(compute<double>(c, changed, Target::reference, Storage::nhwc).y, data.dy);
    };
  };
  require_close(result.dx, numeric_gradient(loss_with(&Data::x), data.x), 1e-6);
  require_close(result.dw, numeric_gradient(loss_with(&Data::w), data.w), 1e-6);
  require_close(result.db, numeric_gradient(loss_with(&Data::b), data.b), 1e-6);
}

TEST_CASE("conv_transpose2d: an output does not depend on the size of its image, and runs repeat") {
  const Case big{.h = 20, .w = 30, .c = 48, .k = 32}, small{.h = 3, .w = 5, .c = 48, .k = 32};
  const Data data = random_data(big);
  const Values whole = compute<float>(big, data, kTarget).y;
  test::require_equal(compute<float>(big, data, kTarget).y, whole);
  Data part = data;
  part.x.clear();
  Values expected;
  const int64_t top = 7, left = 11;
  for (int64_t i = 0; i < small.h; ++i) {
    const auto row = data.x.begin() + ((top + i) * big.w + left) * big.c;
    part.x.insert(part.x.end(), row, row + small.w * big.c);
  }
  for (int64_t i = 0; i < 2 * small.h; ++i) {
    const auto row = whole.begin() + ((2 * top + i) * 2 * big.w + 2 * left) * big.k;
    expected.insert(expected.end(), row, row + 2 * small.w * big.k);
  }
  part.dy = integers(small.y(), 1, 0, 1);
  test::require_equal(compute<float>(small, part, kTarget).y, expected);
}

TEST_CASE("conv_transpose2d: operands that do not fit are refused with both shapes") {
  const Case c;
  const Buffer<float> x(Storage::nhwc, c.x()), w(Storage::nhwc, c.filter()), b(Storage::nhwc, c.bias());
  const Buffer<float> y(Storage::nhwc, c.y()), other(Storage::nhwc, {1, 3, 4, 5}), cubic(Storage::nhwc, {4, 3, 3, 3});
  const ConvTranspose2d<float> good{.x = x, .w = w, .b = b, .y = y};
  good.check();
  const auto with = [&](auto change) {
    ConvTranspose2d<float> op = good;
    change(op);
    return op;
  };
  require_refused<ShapeError>(with([&](auto& o) { o.x = other; }), {"conv_transpose2d", "[1,3,4,5]", "[4,2,2,3]"});
  require_refused<ShapeError>(with([&](auto& o) { o.w = cubic; }), {"[4,3,3,3]"});
  require_refused<ShapeError>(with([&](auto& o) { o.y = other; }), {"[1,6,8,4]", "[1,3,4,5]"});
  require_refused<ShapeError>(with([&](auto& o) { o.b = other; }), {"[1,1,1,4]", "[1,3,4,5]"});
  require_refused<ShapeError>(with([&](auto& o) { o.x = {}; }), {"x"});
  require_refused<ShapeError>(with([&](auto& o) { o.y = {}; }), {"y"});
}

}  // namespace unet::kernels::test
