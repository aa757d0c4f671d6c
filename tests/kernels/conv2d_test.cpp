#include "kernels/conv2d.h"

#include "kernels/crop_concat.h"
#include "kernels/max_pool2d.h"
#include "kernels/relu.h"
#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

/// Sizes of one convolution.
struct Case {
  int64_t n = 1, h = 8, w = 9, c1 = 3, c2 = 0, k = 4, side = 3;

  Shape x() const { return {n, h, w, c1}; }
  Shape x2() const { return {n, h, w, c2}; }
  Shape filter() const { return {k, side, side, c1 + c2}; }
  Shape bias() const { return {1, 1, 1, k}; }
  Shape y() const { return {n, h - side + 1, w - side + 1, k}; }
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.x() << "+" << c.c2 << " * " << c.filter();
}

struct Data {
  Values x, x2, w, b, dy;
};

Data integer_data(const Case& c) {
  return {integers(c.x(), 1, -3, 3), integers(c.x2(), 2, -3, 3), integers(c.filter(), 3, -3, 3),
          integers(c.bias(), 4, -3, 3), integers(c.y(), 5, -3, 3)};
}

Data random_data(const Case& c) {
  return {randoms<float>(c.x(), 1, -1, 1), randoms<float>(c.x2(), 2, -1, 1), randoms<float>(c.filter(), 3, -1, 1),
          randoms<float>(c.bias(), 4, -1, 1), randoms<float>(c.y(), 5, -1, 1)};
}

/// The layout in which the target under test computes fastest.
constexpr Storage kFast = kOnDevice ? Storage::nhwc : Storage::blocked;

struct Setup {
  Target target = kTarget;
  ConvolutionMode mode = ConvolutionMode::direct;
  int threads = 2;
  Storage storage = kFast;
  bool relu = false;
  bool wide = false;
};

/// What the forward and the backward pass give.
struct Result {
  Values y, dx, dx2, dw, db;
};

template <class T>
Result compute(const Case& c, const Data& data, const Setup& setup) {
  using A = Accumulate<T>;
  Runner run(setup.target, setup.threads);
  run.context.convolution = setup.mode;
  const Storage vector = Storage::nhwc;
  const Buffer<T> x(setup.storage, c.x(), data.x), x2(setup.storage, c.x2(), data.x2);
  const Buffer<A> w(vector, c.filter(), data.w), b(vector, c.bias(), data.b);
  const Buffer<T> y(setup.storage, c.y());
  const Buffer<A> y_wide(setup.storage, c.y());
  const View<const T> second = c.c2 > 0 ? View<const T>(x2) : View<const T>{};
  FilterCache cache;
  run(Conv2d<T>{.x = x,
                .x2 = second,
                .w = w,
                .b = b,
                .y = setup.wide ? View<T>{} : View<T>(y),
                .y_wide = setup.wide ? View<A>(y_wide) : View<A>{},
                .relu = setup.relu,
                .cache = &cache});
  REQUIRE((setup.wide ? y_wide.intact() : y.intact()));

  const Buffer<T> dy(setup.storage, c.y(), data.dy), dx(setup.storage, c.x()), dx2(setup.storage, c.x2());
  const Buffer<A> dy_wide(setup.storage, c.y(), data.dy), dw(vector, c.filter()), db(vector, c.bias());
  run(Conv2dBackward<T>{.x = x,
                        .x2 = second,
                        .w = w,
                        .y = setup.relu ? View<const T>(y) : View<const T>{},
                        .dy = setup.wide ? View<T>{} : View<T>(dy),
                        .dy_wide = setup.wide ? View<const A>(dy_wide) : View<const A>{},
                        .dx = dx,
                        .dx2 = c.c2 > 0 ? View<T>(dx2) : View<T>{},
                        .dw = dw,
                        .db = db,
                        .cache = &cache});
  REQUIRE((dx.intact() && dw.intact() && db.intact() && (c.c2 == 0 || dx2.intact())));
  return {setup.wide ? y_wide.values() : y.values(), dx.values(), c.c2 > 0 ? dx2.values() : Values{}, dw.values(),
          db.values()};
}

void require_equal(const Result& a, const Result& b) {
  test::require_equal(a.y, b.y);
  test::require_equal(a.dx, b.dx);
  test::require_equal(a.dx2, b.dx2);
  test::require_equal(a.dw, b.dw);
  test::require_equal(a.db, b.db);
}

/// Difference relative to the largest expected value.
double relative(const Values& actual, const Values& expected) {
  REQUIRE(actual.size() == expected.size());
  double worst = 0, largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double d = std::abs(actual[i] - expected[i]);
    worst = d <= worst ? worst : d;
    largest = std::max(largest, std::abs(expected[i]));
  }
  return largest > 0 ? worst / largest : worst;
}

}  // namespace

TEST_CASE("conv2d: integer data agree to the last bit over channel counts, batch 2") {
  for (size_t i = 0; i < kChannels.size(); ++i) {
    for (size_t j = 0; j < kChannels.size(); ++j) {
      const Case c{.n = 2, .h = 5, .w = 6, .c1 = kChannels[i], .k = kChannels[j], .side = (i + j) % 2 == 0 ? 3 : 1};
      CAPTURE(c);
      const Data data = integer_data(c);
      const bool relu = (i + 2 * j) % 3 == 0;
      const Result expected =
          compute<float>(c, data, {.target = Target::reference, .storage = Storage::nhwc, .relu = relu});
      for (size_t s = 0; s < 2; ++s) {
        const Storage storage = kOnDevice ? kStorages[(i + j + s) % kStorages.size()] : kStorages[s];
        CAPTURE(storage);
        require_equal(compute<float>(c, data, {.storage = storage, .relu = relu}), expected);
      }
    }
  }
}

TEST_CASE("conv2d: two sources, crops, sizes and wide output agree on integer data") {
  for (const Case& c :
       {Case{.c1 = 16, .c2 = 16, .k = 16}, Case{.h = 3, .w = 3, .c1 = 32, .c2 = 17, .k = 18},
        Case{.n = 2, .h = 9, .w = 13, .c1 = 5, .c2 = 9, .k = 7}, Case{.h = 17, .w = 4, .c1 = 1, .k = 16},
        Case{.h = 9, .w = 9, .c1 = 3, .c2 = 2, .k = 2, .side = 1}, Case{.c1 = 64, .k = 2, .side = 1},
        Case{.h = 11, .w = 10, .c1 = 48, .c2 = 16, .k = 32}, Case{.h = 7, .w = 6, .c1 = 17, .k = 16, .side = 2},
        Case{.h = 9, .w = 8, .c1 = 1, .k = 3, .side = 5}}) {
    CAPTURE(c);
    const Data data = integer_data(c);
    const Result expected = compute<float>(c, data, {.target = Target::reference, .storage = Storage::nhwc});
    for (const Storage storage : kStorages) {
      for (const bool wide : {false, true}) {
        for (const Target target : kTargets) {
          CAPTURE(storage, wide, name_of(target));
          require_equal(compute<float>(c, data, {.target = target, .storage = storage, .wide = wide}), expected);
        }
      }
    }
  }
}

TEST_CASE("conv2d: bf16 integer data agree where results fit eight bits") {
  for (const Case& c : {Case{.c1 = 2, .k = 3}, Case{.h = 7, .w = 5, .c1 = 16, .c2 = 16, .k = 16, .side = 1},
                        Case{.c1 = 1, .k = 16}, Case{.c1 = 16, .k = 2, .side = 1}}) {
    CAPTURE(c);
    Data data = integer_data(c);
    for (Values* v : {&data.x, &data.x2, &data.w, &data.dy}) {
      *v = mapped(*v, [](double a) { return a > 1 ? 1.0 : a < -1 ? -1.0 : a; });
    }
    for (const bool wide : {false, true}) {
      CAPTURE(wide);
      const Result expected = compute<bf16>(c, data, {.target = Target::reference, .wide = wide});
      require_equal(compute<bf16>(c, data, {.wide = wide}), expected);
    }
  }
}

TEST_CASE("conv2d: real data stay within the bound of a float32 sum") {
  for (const Case& c : {Case{.h = 12, .w = 12, .c1 = 64, .k = 64}, Case{.h = 30, .w = 34, .c1 = 33, .c2 = 31, .k = 17},
                        Case{.h = 10, .w = 10, .c1 = 256, .k = 32, .side = 1}}) {
    CAPTURE(c);
    Data data = random_data(c), magnitude = data;
    for (Values* v : {&magnitude.x, &magnitude.x2, &magnitude.w, &magnitude.b, &magnitude.dy}) {
      *v = mapped(*v, [](double a) { return std::abs(a); });
    }
    const Setup reference{.target = Target::reference, .storage = Storage::nhwc};
    const Result expected = compute<double>(c, data, reference), sums = compute<double>(c, magnitude, reference);
    const Result actual = compute<float>(c, data, {});
    const auto within = [](const Values& a, const Values& e, const Values& s, int64_t terms) {
      const double unit = static_cast<double>(terms + 2) * 0x1p-24;
      for (size_t i = 0; i < e.size(); ++i) {
        if (!(std::abs(a[i] - e[i]) <= unit * s[i])) FAIL("element " << i << ": " << a[i] << " for " << e[i]);
      }
    };
    within(actual.y, expected.y, sums.y, (c.c1 + c.c2) * c.side * c.side);
    within(actual.dx, expected.dx, sums.dx, c.k * c.side * c.side);
    within(actual.dx2, expected.dx2, sums.dx2, c.k * c.side * c.side);
    within(actual.dw, expected.dw, sums.dw, c.n * c.y().h * c.y().w);
    within(actual.db, expected.db, sums.db, c.n * c.y().h * c.y().w);
  }
}

TEST_CASE("conv2d: the fast mode errs by at most 2e-5 of the largest value") {
  for (const Case& c : {Case{.h = 22, .w = 26, .c1 = 64, .k = 48}, Case{.h = 21, .w = 23, .c1 = 48, .c2 = 32, .k = 32},
                        Case{.n = 2, .h = 12, .w = 12, .c1 = 192, .k = 32}}) {
    CAPTURE(c);
    const Data data = random_data(c);
    const Result expected = compute<double>(c, data, {.target = Target::reference, .storage = Storage::nhwc});
    const Result actual = compute<float>(c, data, {.mode = ConvolutionMode::fast});
    CHECK(relative(actual.y, expected.y) <= 2e-5);
    CHECK(relative(actual.dx, expected.dx) <= 2e-5);
    CHECK(relative(actual.dx2, expected.dx2) <= 2e-5);
    CHECK(relative(actual.dw, expected.dw) <= 2e-5);
    CHECK(relative(actual.db, expected.db) <= 2e-5);
  }
}

TEST_CASE("conv2d: bf16 real data err by the rounding of the result") {
  const Case c{.h = 20, .w = 22, .c1 = 32, .c2 = 32, .k = 32};
  const Data data = random_data(c);
  const Result expected = compute<bf16>(c, data, {.target = Target::reference, .storage = Storage::nhwc});
  const Result actual = compute<bf16>(c, data, {});
  for (const auto& [a, e] : {std::pair{&actual.y, &expected.y}, std::pair{&actual.dx, &expected.dx},
                             std::pair{&actual.dx2, &expected.dx2}, std::pair{&actual.dw, &expected.dw}}) {
    CHECK(relative(*a, *e) <= 0x1p-8);
  }
}

TEST_CASE("conv2d: two sources equal the convolution of their concatenation") {
  const Case two{.h = 10, .w = 11, .c1 = 16, .c2 = 32, .k = 20}, one{.h = 10, .w = 11, .c1 = 48, .k = 20};
  const Data data = integer_data(two);
  for (const Target target : kTargets) {
    Runner run(target);
    const Buffer<float> x(kFast, two.x(), data.x), x2(kFast, two.x2(), data.x2);
    const Buffer<float> joined(kFast, one.x());
    run(CropConcat<float>{.x = x, .x2 = x2, .y = joined});
    Data whole = data;
    whole.x = joined.values();
    whole.x2.clear();
    test::require_equal(compute<float>(two, data, {.target = target}).y,
                        compute<float>(one, whole, {.target = target}).y);
  }
}

TEST_CASE("conv2d: gradients by finite differences of the double reference") {
  const Case c{.n = 2, .h = 5, .w = 4, .c1 = 2, .c2 = 1, .k = 3};
  const Data data = random_data(c);
  const Setup reference{.target = Target::reference, .storage = Storage::nhwc};
  const Result result = compute<double>(c, data, reference);
  const auto loss_with = [&](Values Data::*member) {
    return [&, member](const Values& v) {
      Data changed = data;
      changed.*member = v;
      return dot(compute<double>(c, changed, reference).y, data.dy);
    };
  };
  require_close(result.dx, numeric_gradient(loss_with(&Data::x), data.x), 1e-6);
  require_close(result.dx2, numeric_gradient(loss_with(&Data::x2), data.x2), 1e-6);
  require_close(result.dw, numeric_gradient(loss_with(&Data::w), data.w), 1e-6);
  require_close(result.db, numeric_gradient(loss_with(&Data::b), data.b), 1e-6);
}

TEST_CASE("conv2d: the fast mode runs another algorithm than the direct one where the processor has it") {
  const Case c{.h = 26, .w = 26, .c1 = 32, .k = 32};
  const Data data = random_data(c);
  const bool differs = compute<float>(c, data, {.mode = ConvolutionMode::fast}).y != compute<float>(c, data, {}).y;
  // On a device the modes differ in sums that are taken in parts; these are too short: see convolution_test.cpp.
#if defined(UNET_CPU_ARCH_NATIVE)
  CHECK(differs == bool(__builtin_cpu_supports("avx512f")));
#else
  CHECK_FALSE(differs);
#endif
}

/// Rows [top, top+h) and columns [left, left+w) of an image with `columns` columns of c values.
Values cut(const Values& image, int64_t columns, int64_t c, int64_t top, int64_t left, int64_t h, int64_t w) {
  Values out;
  for (int64_t y = 0; y < h; ++y) {
    const auto row = image.begin() + ((top + y) * columns + left) * c;
    out.insert(out.end(), row, row + w * c);
  }
  return out;
}

TEMPLATE_TEST_CASE("conv2d: in direct mode an output does not depend on tile size or position", "", float, bf16) {
  for (const Case& big :
       {Case{.h = 40, .w = 52, .c1 = 32, .c2 = 16, .k = 32}, Case{.h = 40, .w = 52, .c1 = 48, .k = 16, .side = 1},
        Case{.h = 40, .w = 52, .c1 = 16, .k = 2, .side = 1}, Case{.h = 40, .w = 52, .c1 = 1, .k = 16},
        Case{.h = 40, .w = 52, .c1 = 3, .k = 16}}) {
    const Data data = random_data(big);
    const Setup setup{.storage = big.c1 < 8 || big.k < 8 ? Storage::nhwc : kFast, .relu = true};
    const Values whole = compute<TestType>(big, data, setup).y;
    for (const auto& [top, left, h, w] :
         {std::array<int64_t, 4>{0, 0, 12, 12}, std::array<int64_t, 4>{5, 7, 19, 33},
          std::array<int64_t, 4>{26, 39, 14, 13}, std::array<int64_t, 4>{16, 16, 7, 3}}) {
      CAPTURE(big, top, left, h, w);
      Case part = big;
      part.h = h, part.w = w;
      Data d = data;
      d.x = cut(data.x, big.w, big.c1, top, left, h, w);
      d.x2 = cut(data.x2, big.w, big.c2, top, left, h, w);
      d.dy = integers(part.y(), 1, 0, 1);
      test::require_equal(compute<TestType>(part, d, setup).y,
                          cut(whole, big.y().w, big.k, top, left, part.y().h, part.y().w));
    }
  }
}

TEST_CASE("conv2d: the same bits from run to run, and from a filter packed before") {
  const Case c{.h = 34, .w = 30, .c1 = 32, .c2 = 32, .k = 48};
  const Data data = random_data(c);
  for (const ConvolutionMode mode : {ConvolutionMode::direct, ConvolutionMode::fast}) {
    for (const int threads : kOnDevice ? std::vector{1} : std::vector{1, 2, 4}) {
      const Setup setup{.mode = mode, .threads = threads};
      require_equal(compute<float>(c, data, setup), compute<float>(c, data, setup));
    }
  }

  Runner run(kTarget);
  const Buffer<float> x(kFast, {1, 9, 9, 16}, integers({1, 9, 9, 16}, 1, -3, 3));
  const Buffer<float> w(Storage::nhwc, {16, 3, 3, 16}, integers({16, 3, 3, 16}, 2, -3, 3));
  const Buffer<float> y(kFast, {1, 7, 7, 16}), again(kFast, {1, 7, 7, 16});
  FilterCache cache;
  run(Conv2d<float>{.x = x, .w = w, .y = y, .cache = &cache});
  run(Conv2d<float>{.x = x, .w = w, .y = again, .cache = &cache});
  test::require_equal(y.values(), again.values());
  const float other = w.view().data[0] + 1;
  TargetMemory::upload(w.view().data, &other, sizeof other);
  cache.reset();
  run(Conv2d<float>{.x = x, .w = w, .y = again, .cache = &cache});
  CHECK(y.values() != again.values());
}

TEMPLATE_TEST_CASE("conv2d: pooling in the same call equals MaxPool2d of the result", "", float, bf16) {
  for (const Case& c :
       {Case{.n = 2, .h = 9, .w = 12, .c1 = 16, .c2 = 16, .k = 32}, Case{.h = 4, .w = 5, .c1 = 3, .k = 5},
        Case{.h = 21, .w = 36, .c1 = 8, .k = 64}, Case{.h = 8, .w = 7, .c1 = 1, .k = 16, .side = 1}}) {
    const Data data = integer_data(c);
    const Shape half{c.n, c.y().h / 2, c.y().w / 2, c.k};
    for (const Target target : kTargets) {
      for (const Storage storage : {kStorages[0], kStorages[1]}) {
        CAPTURE(c, name_of(target), storage);
        Runner run(target);
        const Buffer<TestType> x(storage, c.x(), data.x), x2(storage, c.x2(), data.x2);
        const Buffer<float> w(Storage::nhwc, c.filter(), data.w), b(Storage::nhwc, c.bias(), data.b);
        const Buffer<TestType> y(storage, c.y()), pooled(storage, half);
        const Buffer<uint8_t> code(storage, half);
        Conv2d<TestType> op{.x = x,
                            .x2 = c.c2 > 0 ? View<const TestType>(x2) : View<const TestType>{},
                            .w = w,
                            .b = b,
                            .y = y,
                            .relu = true};
        run(op);
        run(MaxPool2d<TestType>{.x = y, .y = pooled, .code = code});

        const Buffer<TestType> fused_y(storage, c.y()), fused(storage, half), alone(storage, half);
        const Buffer<uint8_t> fused_code(storage, half);
        op.y = fused_y;
        op.pooled = fused;
        op.pool_code = fused_code;
        run(op);
        test::require_equal(fused_y.values(), y.values());
        test::require_equal(fused.values(), pooled.values());
        test::require_equal(fused_code.values(), code.values());
        REQUIRE((fused_y.intact() && fused.intact() && fused_code.intact()));
        op.y = {};
        op.pooled = alone;
        op.pool_code = {};
        run(op);
        test::require_equal(alone.values(), pooled.values());
        REQUIRE(alone.intact());
      }
    }
  }
}

TEMPLATE_TEST_CASE("conv2d: gradients behind a ReLU of the inputs equal ReluBackward of the gradients", "", float,
                   bf16) {
  for (const Case& c : {Case{.n = 2, .h = 6, .w = 7, .c1 = 16, .c2 = 8, .k = 9}, Case{.c1 = 5, .c2 = 3, .k = 16},
                        Case{.c1 = 64, .k = 2, .side = 1}, Case{.h = 5, .w = 20, .c1 = 64, .c2 = 64, .k = 64}}) {
    const Data data = integer_data(c);
    for (const Target target : kTargets) {
      for (const Storage storage : {Storage::nhwc, Storage::nhwc_crop}) {
        CAPTURE(c, name_of(target), storage);
        Runner run(target);
        const Buffer<TestType> x(storage, c.x(), data.x), x2(storage, c.x2(), data.x2);
        const Buffer<float> w(Storage::nhwc, c.filter(), data.w);
        const Buffer<TestType> dy(storage, c.y(), data.dy), dx(storage, c.x()), dx2(storage, c.x2());
        const Buffer<TestType> fused_dx(storage, c.x()), fused_dx2(storage, c.x2());
        Conv2dBackward<TestType> op{.x = x, .w = w, .dy = dy, .dx = dx};
        if (c.c2 > 0) op.x2 = x2, op.dx2 = dx2;
        run(op);
        run(ReluBackward<TestType>{.y = x, .dy = dx, .dx = dx});
        if (c.c2 > 0) run(ReluBackward<TestType>{.y = x2, .dy = dx2, .dx = dx2});

        op.dx = fused_dx;
        op.relu_x = true;
        if (c.c2 > 0) op.dx2 = fused_dx2, op.relu_x2 = true;
        run(op);
        test::require_equal(fused_dx.values(), dx.values());
        if (c.c2 > 0) test::require_equal(fused_dx2.values(), dx2.values());
        REQUIRE((fused_dx.intact() && fused_dx2.intact()));
      }
    }
  }
}

TEST_CASE("conv2d: operands that do not fit are refused with both shapes") {
  const Case c{.h = 8, .w = 9, .c1 = 3, .k = 4};
  const Buffer<float> x(Storage::nhwc, c.x()), w(Storage::nhwc, c.filter()), b(Storage::nhwc, c.bias());
  const Buffer<float> y(Storage::nhwc, c.y());
  const Conv2d<float> good{.x = x, .w = w, .b = b, .y = y};
  good.check();
  const auto with = [&](auto change) {
    Conv2d<float> op = good;
    change(op);
    return op;
  };
  const Buffer<float> other(Storage::nhwc, {1, 8, 9, 5}), small(Storage::nhwc, {1, 2, 2, 3}),
      five(Storage::nhwc, {1, 1, 1, 5});
  require_refused<ShapeError>(with([&](auto& o) { o.x = other; }), {"conv2d", "[1,8,9,5]", "[4,3,3,3]"});
  require_refused<ShapeError>(with([&](auto& o) { o.x2 = other; }), {"[K,R,S,8]", "[4,3,3,3]"});
  require_refused<ShapeError>(with([&](auto& o) { o.x2 = small; }), {"[1,8,9,3]", "[1,2,2,3]"});
  require_refused<ShapeError>(with([&](auto& o) { o.x = small; }), {"[1,2,2,3]", "[4,3,3,3]"});
  require_refused<ShapeError>(with([&](auto& o) { o.b = five; }), {"[1,1,1,4]", "[1,1,1,5]"});
  require_refused<ShapeError>(with([&](auto& o) { o.y = other; }), {"[1,6,7,4]", "[1,8,9,5]"});
  require_refused<ShapeError>(with([&](auto& o) { o.y = {}; }), {"y"});
  require_refused<ShapeError>(with([&](auto& o) { o.y_wide = y; }), {"y"});
  require_refused<ShapeError>(with([&](auto& o) { o.x = {}; }), {"x"});
  require_refused<ShapeError>(with([&](auto& o) { o.w = {}; }), {"w"});
  require_refused<ShapeError>(with([&](auto& o) { o.pooled = y; }), {"pooled", "[1,3,3,4]", "[1,6,7,4]"});
  require_refused<ShapeError>(with([&](auto& o) { o.y = {}, o.pooled = y, o.y_wide = y; }), {"y_wide", "both"});
}

}  // namespace unet::kernels::test
