// Convolutions and their data gradients on a device: every arithmetic, tile, way to load, split and fusion.
#include <optional>

#include "kernels/conv2d.h"
#include "kernels/conv_transpose2d.h"
#include "tests/kernels/support.h"
#if UNET_WITH_EMULATED
#include "kernels/emulated/state.h"
#endif

namespace unet::kernels::test {
namespace {

struct Case {
  int64_t n = 1, h = 8, w = 9, c1 = 16, c2 = 0, k = 8, side = 3;
  bool transposed = false;

  Shape x() const { return {n, h, w, c1}; }
  Shape x2() const { return {n, h, w, c2}; }
  Shape filter() const { return {k, transposed ? 2 : side, transposed ? 2 : side, c1 + c2}; }
  Shape y() const { return transposed ? Shape{n, 2 * h, 2 * w, k} : Shape{n, h - side + 1, w - side + 1, k}; }
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.x() << "+" << c.c2 << " * " << c.filter() << (c.transposed ? " transposed" : "");
}

struct Data {
  Values x, x2, w, b, dy;
};

Data integer_data(const Case& c) {
  return {integers(c.x(), 1, -3, 3), integers(c.x2(), 2, -3, 3), integers(c.filter(), 3, -3, 3),
          integers({1, 1, 1, c.k}, 4, -9, 9), integers(c.y(), 5, -3, 3)};
}

struct Setup {
  Target target = kTarget;
  bool tf32 = false, relu = false, wide = false;
  ConvolutionMode mode = ConvolutionMode::fast;
  Storage storage = Storage::nhwc;
  int multiprocessors = 4;  // few: large tiles; many: small ones, and sums in parts
  int schedule = 0;
};

struct Result {
  Values y, dx, dx2;
};

void prepare([[maybe_unused]] const Context& context, [[maybe_unused]] const Setup& setup) {
#if UNET_WITH_EMULATED
  if (context.target != Target::emulated) return;
  emulated::State& state = emulated::state_of(context);
  state.set_multiprocessors(setup.multiprocessors);
  state.set_schedule(emulated::kSchedules[setup.schedule]);
#endif
}

/// The result, and the data gradients that arrive behind ReLUs of x and x2.
template <class T>
Result compute(const Case& c, const Data& data, const Setup& setup) {
  using A = Accumulate<T>;
  Runner run(setup.target);
  run.context.tf32 = setup.tf32;
  run.context.convolution = setup.mode;
  prepare(run.context, setup);
  const Buffer<T> x(setup.storage, c.x(), data.x), x2(setup.storage, c.x2(), data.x2);
  const Buffer<A> w(Storage::nhwc, c.filter(), data.w), b(Storage::nhwc, {1, 1, 1, c.k}, data.b);
  const Buffer<T> y(setup.storage, c.y()), dy(setup.storage, c.y(), data.dy);
  const Buffer<A> y_wide(setup.storage, c.y()), dy_wide(setup.storage, c.y(), data.dy);
  const Buffer<T> dx(setup.storage, c.x()), dx2(setup.storage, c.x2());
  if (c.transposed) {
    run(ConvTranspose2d<T>{.x = x, .w = w, .b = b, .y = y, .relu = setup.relu});
    run(ConvTranspose2dBackward<T>{.x = x, .w = w, .dy = dy, .dx = dx});
  } else {
    const bool two = c.c2 > 0;
    const View<const T> second = two ? View<const T>(x2) : View<const T>{};
    run(Conv2d<T>{.x = x,
                  .x2 = second,
                  .w = w,
                  .b = b,
                  .y = setup.wide ? View<T>{} : View<T>(y),
                  .y_wide = setup.wide ? View<A>(y_wide) : View<A>{},
                  .relu = setup.relu});
    run(Conv2dBackward<T>{.x = x,
                          .x2 = second,
                          .w = w,
                          .dy = setup.wide ? View<T>{} : View<T>(dy),
                          .dy_wide = setup.wide ? View<const A>(dy_wide) : View<const A>{},
                          .dx = dx,
                          .dx2 = two ? View<T>(dx2) : View<T>{},
                          .relu_x = setup.relu,
                          .relu_x2 = setup.relu && two});
  }
  REQUIRE((y.intact() && y_wide.intact() && dx.intact() && dx2.intact()));
  return {setup.wide ? y_wide.values() : y.values(), dx.values(), c.c2 > 0 ? dx2.values() : Values{}};
}

void require_equal(const Result& a, const Result& b) {
  test::require_equal(a.y, b.y);
  test::require_equal(a.dx, b.dx);
  test::require_equal(a.dx2, b.dx2);
}

/// Integer data, whose sums are exact in any order and arithmetic, agree with the reference to the last bit.
template <class T>
void require_exact(const Case& c, const Setup& setup) {
  CAPTURE(c, setup.tf32, setup.relu, setup.wide, setup.storage, setup.multiprocessors, setup.schedule);
  const Data data = integer_data(c);
  require_equal(compute<T>(c, data, setup),
                compute<T>(c, data, {.target = Target::reference, .relu = setup.relu, .wide = setup.wide}));
}

/// Kernels that `operation` starts on the emulated target.
template <class Operation>
std::optional<int64_t> launches([[maybe_unused]] Runner& run, [[maybe_unused]] const Operation& operation) {
#if UNET_WITH_EMULATED
  if (kTarget == Target::emulated) {
    const emulated::State& state = emulated::state_of(run.context);
    const int64_t before = state.launches();
    run(operation);
    return state.launches() - before;
  }
#endif
  return {};
}

}  // namespace

TEST_CASE("convolution: bf16 agrees to the last bit over channel counts and storages, batch 2") {
  for (size_t i = 0; i < kChannels.size(); ++i) {
    for (size_t j = 0; j < kChannels.size(); ++j) {
      const Case c{.n = 2, .h = 4, .w = 6, .c1 = kChannels[i], .k = kChannels[j], .side = (i + j) % 3 == 0 ? 1 : 3};
      require_exact<bf16>(c, {.relu = (i + 2 * j) % 3 == 0,
                              .wide = (i + j) % 4 == 3,
                              .storage = kStorages[(i + 2 * j) % kStorages.size()],
                              .schedule = static_cast<int>(i + j) % 5});
    }
  }
}

TEST_CASE("convolution: every arithmetic on every tile, of one and of two sources, at every schedule") {
  int schedule = 0;
  for (const Case& c : {Case{.n = 2, .h = 9, .w = 17, .c1 = 24, .c2 = 104, .k = 128},
                        Case{.n = 1, .h = 13, .w = 14, .c1 = 72, .c2 = 8, .k = 64},
                        Case{.n = 3, .h = 6, .w = 7, .c1 = 16, .c2 = 40, .k = 24},
                        Case{.n = 2, .h = 6, .w = 9, .c1 = 40, .k = 34, .transposed = true},
                        Case{.n = 1, .h = 11, .w = 13, .c1 = 136, .k = 64, .transposed = true}}) {
    for (const int multiprocessors : {1, 132}) {
      Setup setup{.relu = multiprocessors == 1, .multiprocessors = multiprocessors, .schedule = schedule};
      require_exact<bf16>(c, setup);
      require_exact<float>(c, setup);
      setup.tf32 = true;
      require_exact<float>(c, setup);
      schedule = (schedule + 1) % 5;
    }
  }
}

TEST_CASE("convolution: filters of other sizes, images of one row, crops and pixels that are not aligned") {
  for (Case c :
       {Case{.h = 5, .w = 8, .c1 = 8, .c2 = 8, .k = 16, .side = 5}, Case{.h = 4, .w = 5, .c1 = 16, .k = 40, .side = 2},
        Case{.h = 1, .w = 150, .c1 = 64, .k = 72, .side = 1}, Case{.h = 3, .w = 3, .c1 = 65, .c2 = 63, .k = 65},
        Case{.n = 3, .h = 1, .w = 1, .c1 = 9, .k = 5, .transposed = true}}) {
    for (const Storage storage : kStorages) {
      require_exact<bf16>(c, {.relu = true, .storage = storage, .schedule = 2});
      require_exact<float>(c, {.tf32 = true, .storage = storage, .schedule = 3});
    }
  }
}

TEST_CASE("convolution: few channels and few columns, with a gradient that is wide") {
  for (const Case& c :
       {Case{.n = 2, .h = 11, .w = 70, .c1 = 1, .k = 72}, Case{.h = 7, .w = 36, .c1 = 3, .k = 16, .side = 4},
        Case{.n = 2, .h = 9, .w = 13, .c1 = 64, .k = 2, .side = 1}, Case{.h = 5, .w = 41, .c1 = 200, .k = 4, .side = 1},
        Case{.h = 6, .w = 7, .c1 = 33, .k = 3, .side = 1}, Case{.h = 6, .w = 7, .c1 = 16, .k = 9, .side = 1}}) {
    for (const Storage storage : kStorages) {
      for (const bool wide : {false, true}) {
        require_exact<bf16>(c, {.relu = !wide, .wide = wide, .storage = storage, .schedule = 4});
        require_exact<float>(c, {.relu = !wide, .wide = wide, .storage = storage, .schedule = 1});
      }
    }
  }
}

TEST_CASE("convolution: sums in parts agree, and are taken in fast mode alone") {
  const Case c{.n = 2, .h = 5, .w = 4, .c1 = 160, .c2 = 96, .k = 48};
  for (const Case& d :
       {c, Case{.h = 3, .w = 3, .c1 = 512, .k = 35}, Case{.h = 3, .w = 5, .c1 = 64, .k = 264, .transposed = true}}) {
    require_exact<bf16>(d, {.relu = true, .multiprocessors = 132, .schedule = 3});
    require_exact<float>(d, {.wide = !d.transposed, .multiprocessors = 132});
    require_exact<float>(d, {.tf32 = true, .relu = true, .multiprocessors = 132});
  }

  const Data data = integer_data(c);
  Runner run(kTarget);
  prepare(run.context, {.multiprocessors = 132});
  const Buffer<bf16> x(Storage::nhwc, c.x(), data.x), x2(Storage::nhwc, c.x2(), data.x2), y(Storage::nhwc, c.y());
  const Buffer<float> w(Storage::nhwc, c.filter(), data.w);
  const Conv2d<bf16> op{.x = x, .x2 = x2, .w = w, .y = y};
  CHECK(launches(run, op).value_or(3) == 3);  // filter, parts, sum
  run.context.convolution = ConvolutionMode::direct;
  CHECK(launches(run, op).value_or(2) == 2);
}

TEST_CASE("convolution: pooling of a result of many tiles") {
  for (const Case& c : {Case{.n = 2, .h = 21, .w = 36, .c1 = 16, .k = 128},
                        Case{.h = 23, .w = 20, .c1 = 8, .c2 = 8, .k = 64}, Case{.h = 10, .w = 19, .c1 = 7, .k = 12}}) {
    for (const Storage storage : kStorages) {
      CAPTURE(c, storage);
      Data data = integer_data(c);
      const Shape half{c.n, c.y().h / 2, c.y().w / 2, c.k};
      const auto pool = [&](Target target) {
        Runner run(target);
        prepare(run.context, {.multiprocessors = 1, .schedule = 3});
        const Buffer<bf16> x(storage, c.x(), data.x), x2(storage, c.x2(), data.x2), pooled(storage, half);
        const Buffer<float> w(Storage::nhwc, c.filter(), data.w);
        const Buffer<uint8_t> code(storage, half);
        run(Conv2d<bf16>{.x = x,
                         .x2 = c.c2 > 0 ? View<const bf16>(x2) : View<const bf16>{},
                         .w = w,
                         .relu = true,
                         .pooled = pooled,
                         .pool_code = code});
        REQUIRE((pooled.intact() && code.intact()));
        return std::pair{pooled.values(), code.values()};
      };
      const auto actual = pool(kTarget), expected = pool(Target::reference);
      test::require_equal(actual.first, expected.first);
      test::require_equal(actual.second, expected.second);
    }
  }
}

TEST_CASE("convolution: tf32 rounds its factors, f32 does not") {
  const Case c{.h = 12, .w = 12, .c1 = 32, .c2 = 32, .k = 32};
  const Data data{randoms<float>(c.x(), 1, -1, 1), randoms<float>(c.x2(), 2, -1, 1),
                  randoms<float>(c.filter(), 3, -1, 1), randoms<float>({1, 1, 1, c.k}, 4, -1, 1),
                  randoms<float>(c.y(), 5, -1, 1)};
  const Result expected = compute<double>(c, data, {.target = Target::reference});
  const auto worst = [&](const Result& actual) {
    double error = 0, largest = 0;
    for (const auto& [a, e] : {std::pair{&actual.y, &expected.y}, std::pair{&actual.dx, &expected.dx}}) {
      for (size_t i = 0; i < e->size(); ++i) {
        error = std::max(error, std::abs((*a)[i] - (*e)[i]));
        largest = std::max(largest, std::abs((*e)[i]));
      }
    }
    return error / largest;
  };
  CHECK(worst(compute<float>(c, data, {})) <= 1e-6);
  const double rounded = worst(compute<float>(c, data, {.tf32 = true}));
  CHECK(rounded <= 1e-3);
  CHECK(rounded >= 1e-5);
}

TEMPLATE_TEST_CASE("convolution: a NaN reaches the outputs that read it and no others", "", float, bf16) {
  for (const Case& c :
       {Case{.n = 2, .h = 6, .w = 7, .c1 = 5, .k = 6}, Case{.n = 2, .h = 6, .w = 7, .c1 = 24, .k = 16}}) {
    CAPTURE(c);
    Data data = integer_data(c);
    const size_t pixel = static_cast<size_t>((c.h + 2) * c.w + 3);  // of image 1, row 2, column 3
    data.x[pixel * static_cast<size_t>(c.c1) + 4] = std::numeric_limits<double>::quiet_NaN();
    for (double& w : data.w) w = w == 0 ? 1 : w;
    const Result actual = compute<TestType>(c, data, {});
    const Result expected = compute<TestType>(c, data, {.target = Target::reference});
    test::require_equal(actual.y, expected.y);
    CHECK(std::count_if(actual.y.begin(), actual.y.end(), [](double v) { return std::isnan(v); }) == 9 * c.k);
  }
}

TEST_CASE("convolution: a filter is packed once where it is kept, for each of its uses") {
  const Case c{.c1 = 16, .c2 = 8, .k = 24};
  const Data data = integer_data(c);
  Runner run(kTarget);
  prepare(run.context, {});
  FilterCache cache;
  const Buffer<float> x(Storage::nhwc, c.x(), data.x), x2(Storage::nhwc, c.x2(), data.x2), y(Storage::nhwc, c.y());
  const Buffer<float> w(Storage::nhwc, c.filter(), data.w), dy(Storage::nhwc, c.y(), data.dy), dx(Storage::nhwc, c.x());
  const Conv2d<float> forward{.x = x, .x2 = x2, .w = w, .y = y, .cache = &cache};
  const Conv2dBackward<float> backward{.x = x, .x2 = x2, .w = w, .dy = dy, .dx = dx, .cache = &cache};
  for (const int64_t expected : {2, 1}) {
    CHECK(launches(run, forward).value_or(expected) == expected);
    CHECK(launches(run, backward).value_or(expected) == expected);
  }
  run.context.tf32 = true;
  CHECK(launches(run, forward).value_or(2) == 2);
}

}  // namespace unet::kernels::test
