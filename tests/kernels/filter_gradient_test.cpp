// Filter and bias gradients of both convolutions on a device: every kernel, every way to load, to split and to sum.
#include "kernels/conv2d.h"
#include "kernels/conv_transpose2d.h"
#include "tests/kernels/support.h"
#if UNET_WITH_EMULATED
#include "kernels/emulated/state.h"
#endif

namespace unet::kernels::test {
namespace {

struct Case {
  int64_t n = 1, h = 5, w = 6, c1 = 3, c2 = 0, k = 4, r = 3, s = 3;
  bool transposed = false;  // then r = s = 2

  Shape x() const { return {n, h, w, c1}; }
  Shape x2() const { return {n, h, w, c2}; }
  Shape filter() const { return {k, transposed ? 2 : r, transposed ? 2 : s, c1 + c2}; }
  Shape bias() const { return {1, 1, 1, k}; }
  Shape y() const { return transposed ? Shape{n, 2 * h, 2 * w, k} : Shape{n, h - r + 1, w - s + 1, k}; }
  int64_t pixels() const { return y().n * y().h * y().w; }
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.x() << "+" << c.c2 << " * " << c.filter() << (c.transposed ? " transposed" : "");
}

struct Data {
  Values x, x2, y, dy;
};

Data integer_data(const Case& c, int largest = 3) {
  return {integers(c.x(), 1, -largest, largest), integers(c.x2(), 2, -largest, largest), integers(c.y(), 3, -1, 1),
          integers(c.y(), 4, -largest, largest)};
}

Data random_data(const Case& c) {
  return {randoms<bf16>(c.x(), 1, -1, 1), randoms<bf16>(c.x2(), 2, -1, 1), integers(c.y(), 3, -1, 1),
          randoms<bf16>(c.y(), 4, -1, 1)};
}

struct Setup {
  Target target = kTarget;
  bool tf32 = false, relu = false, wide = false;
  bool wants_dw = true, wants_db = true;
  Storage storage = Storage::nhwc;
  int multiprocessors = 132, capability = 90, schedule = 0;  // of the emulated target
};

struct Result {
  Values dw, db;
};

void prepare([[maybe_unused]] const Context& context, [[maybe_unused]] const Setup& setup) {
#if UNET_WITH_EMULATED
  if (context.target != Target::emulated) return;
  emulated::State& state = emulated::state_of(context);
  state.set_multiprocessors(setup.multiprocessors);
  state.set_capability(setup.capability);
  state.set_schedule(emulated::kSchedules[setup.schedule]);
#endif
}

template <class T>
Result compute(const Case& c, const Data& data, const Setup& setup) {
  using A = Accumulate<T>;
  Runner run(setup.target);
  run.context.tf32 = setup.tf32;
  prepare(run.context, setup);
  const Storage dense = Storage::nhwc;
  const Buffer<T> x(setup.storage, c.x(), data.x), x2(setup.storage, c.x2(), data.x2);
  const Buffer<T> y(setup.storage, c.y(), data.y), dy(setup.storage, c.y(), data.dy);
  const Buffer<A> dy_wide(setup.storage, c.y(), data.dy);
  const Buffer<A> w(dense, c.filter(), Values(static_cast<size_t>(c.filter().size()), 0.0));
  const Buffer<A> dw(dense, c.filter()), db(dense, c.bias());
  const View<A> none;
  if (c.transposed) {
    run(ConvTranspose2dBackward<T>{.x = x,
                                   .w = w,
                                   .y = setup.relu ? View<const T>(y) : View<const T>{},
                                   .dy = dy,
                                   .dx = {},
                                   .dw = setup.wants_dw ? View<A>(dw) : none,
                                   .db = setup.wants_db ? View<A>(db) : none});
  } else {
    run(Conv2dBackward<T>{.x = x,
                          .x2 = c.c2 > 0 ? View<const T>(x2) : View<const T>{},
                          .w = w,
                          .y = setup.relu ? View<const T>(y) : View<const T>{},
                          .dy = setup.wide ? View<T>{} : View<T>(dy),
                          .dy_wide = setup.wide ? View<const A>(dy_wide) : View<const A>{},
                          .dx = {},
                          .dx2 = {},
                          .dw = setup.wants_dw ? View<A>(dw) : none,
                          .db = setup.wants_db ? View<A>(db) : none});
  }
  REQUIRE((x.intact() && x2.intact() && dy.intact() && dw.intact() && db.intact()));
  return {setup.wants_dw ? dw.values() : Values{}, setup.wants_db ? db.values() : Values{}};
}

template <class T>
void require_exact(const Case& c, const Setup& setup) {
  CAPTURE(c, setup.storage, setup.tf32, setup.relu, setup.wide, setup.multiprocessors, sizeof(T));
  const Data data = integer_data(c);
  const Result expected = compute<double>(c, data, {.target = Target::reference, .relu = setup.relu});
  const Result actual = compute<T>(c, data, setup);
  if (setup.wants_dw) require_equal(actual.dw, expected.dw);
  if (setup.wants_db) require_equal(actual.db, expected.db);
}

/// bf16, tf32 and f32 in turn.
void require_exact_in(int precision, const Case& c, Setup setup) {
  setup.tf32 = precision % 3 == 1;
  if (precision % 3 == 0) {
    require_exact<bf16>(c, setup);
  } else {
    require_exact<float>(c, setup);
  }
}

/// |actual - expected| <= relative * sum of the terms' magnitudes, for every element.
void require_within(const Values& actual, const Values& expected, const Values& magnitudes, double relative) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!(std::abs(actual[i] - expected[i]) <= relative * magnitudes[i])) {
      FAIL("element " << i << ": expected " << expected[i] << ", got " << actual[i] << ", magnitude " << magnitudes[i]);
    }
  }
}

}  // namespace

TEST_CASE("filter_gradient: integer data agree to the last bit over channel counts, precisions and storages") {
  int turn = 0;
  for (const int64_t c1 : kChannels) {
    for (const int64_t k : kChannels) {
      // Each pair once, so that every precision, storage and kind meets every channel count on both sides.
      ++turn;
      const int kind = turn / 3 % 3;
      const Case c{.n = 2,
                   .h = 4,
                   .w = 5,
                   .c1 = c1,
                   .k = k,
                   .r = kind == 0 ? 3 : 1,
                   .s = kind == 0 ? 3 : 1,
                   .transposed = kind == 2};
      const Storage storage = kStorages[static_cast<size_t>(turn) / 9 % kStorages.size()];
      require_exact_in(turn, c, {.relu = turn % 2 == 0, .storage = storage});
    }
  }
}

TEST_CASE("filter_gradient: integer data agree over filters, two sources and storages") {
  int turn = 0;
  for (const Case& c :
       {Case{.h = 9, .w = 7, .c1 = 40, .k = 33, .r = 5, .s = 4}, Case{.h = 4, .w = 9, .c1 = 8, .k = 40, .r = 2, .s = 2},
        Case{.n = 2, .h = 6, .w = 6, .c1 = 1, .k = 8, .r = 5, .s = 5}, Case{.h = 3, .w = 3, .c1 = 64, .k = 64},
        Case{.h = 6, .w = 8, .c1 = 16, .c2 = 24, .k = 48}, Case{.n = 2, .h = 5, .w = 6, .c1 = 13, .c2 = 60, .k = 66},
        Case{.h = 5, .w = 8, .c1 = 72, .c2 = 64, .k = 16, .r = 1, .s = 1},
        Case{.h = 7, .w = 5, .c1 = 1, .c2 = 1, .k = 2}, Case{.h = 5, .w = 4, .c1 = 2, .c2 = 7, .k = 3, .r = 1, .s = 1},
        Case{.h = 1, .w = 1, .c1 = 9, .k = 34, .r = 1, .s = 1}}) {
    for (const Storage storage : kStorages) {
      ++turn;
      require_exact_in(turn, c, {.relu = turn % 2 == 0, .storage = storage});
      require_exact_in(turn + 1, c, {.relu = turn % 2 == 1, .storage = storage});
    }
  }
}

TEST_CASE("filter_gradient: integer data agree over many patches, segments and parts") {
  int turn = 0;
  for (const Case& c :
       {Case{.n = 2, .h = 37, .w = 29, .c1 = 40, .k = 48}, Case{.n = 3, .h = 23, .w = 41, .c1 = 24, .k = 16},
        Case{.n = 2, .h = 31, .w = 33, .c1 = 64, .k = 72, .r = 1, .s = 1},
        Case{.n = 2, .h = 17, .w = 19, .c1 = 40, .k = 24, .transposed = true},
        Case{.n = 2, .h = 19, .w = 131, .c1 = 1, .k = 64}, Case{.h = 12, .w = 101, .c1 = 3, .k = 68},
        Case{.n = 2, .h = 21, .w = 99, .c1 = 64, .k = 2, .r = 1, .s = 1}, Case{.h = 3, .w = 300, .c1 = 33, .k = 34}}) {
    for (const int multiprocessors : {1, 3, 108}) {
      require_exact_in(++turn, c, {.relu = turn % 2 == 0, .multiprocessors = multiprocessors, .capability = 80});
    }
  }
}

TEST_CASE("filter_gradient: wide gradients of bf16 convolutions") {
  for (const Case& c : {Case{.c1 = 64, .k = 2, .r = 1, .s = 1}, Case{.n = 2, .c1 = 24, .k = 4, .r = 1, .s = 1},
                        Case{.n = 2, .c1 = 10, .k = 5, .r = 1, .s = 1}, Case{.n = 2, .h = 6, .w = 7, .c1 = 2, .k = 40},
                        Case{.h = 6, .w = 7, .c1 = 40, .c2 = 7, .k = 36}}) {
    for (const Storage storage : kStorages) {
      for (const bool relu : {false, true}) {
        require_exact<bf16>(c, {.relu = relu, .wide = true, .storage = storage});
        require_exact<float>(c, {.relu = relu, .wide = true, .storage = storage});
      }
    }
  }
}

TEST_CASE("filter_gradient: operands may be channels of wider images") {
  for (const Case& c : {Case{.c1 = 1, .k = 8}, Case{.c1 = 3, .k = 33}, Case{.n = 2, .c1 = 40, .k = 40},
                        Case{.c1 = 16, .k = 2, .r = 1, .s = 1}, Case{.n = 2, .c1 = 72, .k = 8, .r = 1, .s = 1}}) {
    for (const int64_t more : {1, 8}) {
      CAPTURE(c, more);
      const Shape wide_x{c.n, c.h, c.w, c.c1 + more}, wide_y{c.n, c.y().h, c.y().w, c.k + more};
      const Values x_values = integers(wide_x, 1, -3, 3), dy_values = integers(wide_y, 2, -3, 3);
      const auto gradients = [&](Target target) {
        const Buffer<float> x(Storage::nhwc, wide_x, x_values), dy(Storage::nhwc, wide_y, dy_values);
        const auto last_channels = [&](auto view, int64_t channels) {
          view.c = view.block = channels;
          view.data += more;
          return view;
        };
        const Buffer<float> w(Storage::nhwc, c.filter(), Values(static_cast<size_t>(c.filter().size()), 0.0));
        const Buffer<float> dw(Storage::nhwc, c.filter()), db(Storage::nhwc, c.bias());
        Runner{target}(Conv2dBackward<float>{.x = last_channels(x.view(), c.c1),
                                             .x2 = {},
                                             .w = w,
                                             .y = {},
                                             .dy = last_channels(dy.view(), c.k),
                                             .dy_wide = {},
                                             .dx = {},
                                             .dx2 = {},
                                             .dw = dw,
                                             .db = db});
        return Result{dw.values(), db.values()};
      };
      const Result expected = gradients(Target::reference), actual = gradients(kTarget);
      require_equal(actual.dw, expected.dw);
      require_equal(actual.db, expected.db);
    }
  }
}

TEST_CASE("filter_gradient: either output alone") {
  for (const Case& c : {Case{.n = 2, .h = 9, .w = 8, .c1 = 40, .k = 48}, Case{.c1 = 1, .k = 20},
                        Case{.c1 = 64, .k = 3, .r = 1, .s = 1}, Case{.c1 = 24, .k = 16, .transposed = true}}) {
    for (int precision = 0; precision < 3; ++precision) {
      require_exact_in(precision, c, {.wants_db = false});
      require_exact_in(precision, c, {.relu = true, .wants_dw = false});
    }
  }
}

TEST_CASE("filter_gradient: real data within the bound of a float32 sum, tf32 within its rounding") {
  for (const Case& c :
       {Case{.n = 2, .h = 21, .w = 23, .c1 = 40, .c2 = 24, .k = 64}, Case{.h = 40, .w = 70, .c1 = 1, .k = 64},
        Case{.h = 40, .w = 30, .c1 = 64, .k = 2, .r = 1, .s = 1},
        Case{.h = 17, .w = 18, .c1 = 64, .k = 32, .transposed = true}}) {
    CAPTURE(c);
    const Data data = random_data(c);
    Data magnitude = data;
    for (Values* v : {&magnitude.x, &magnitude.x2, &magnitude.dy})
      *v = mapped(*v, [](double a) { return std::abs(a); });
    const Setup reference{.target = Target::reference};
    const Result expected = compute<double>(c, data, reference), sums = compute<double>(c, magnitude, reference);
    const double of_sum = static_cast<double>(c.pixels() + 2) * 0x1p-24;
    const auto require = [&](const Result& actual, double relative) {
      require_within(actual.dw, expected.dw, sums.dw, relative);
      require_within(actual.db, expected.db, sums.db, of_sum);
    };
    require(compute<float>(c, data, {}), of_sum);
    require(compute<bf16>(c, data, {}), of_sum);  // the data are bf16, and their products exact in f32
    require(compute<float>(c, data, {.tf32 = true}), of_sum);
    Data fine = data;  // of more bits than tf32 has
    fine.x = mapped(data.x, [](double a) { return static_cast<double>(static_cast<float>(a * 1.0001)); });
    const Result finer = compute<double>(c, fine, reference);
    require_within(compute<float>(c, fine, {.tf32 = true}).dw, finer.dw, sums.dw, of_sum + 0x1p-11);
  }
}

TEST_CASE("filter_gradient: tf32 rounds both factors to nearest, and never the bias, and f32 rounds nothing") {
  constexpr double fine = 1 + 3 * 0x1p-12, rounded = 1 + 0x1p-10;  // tf32 has 10 bits behind the point
  for (const bool vectors : {true, false}) {
    const Case c{.c1 = vectors ? 40 : 39, .k = vectors ? 40 : 39};
    const auto pixels = static_cast<double>(c.pixels());
    const auto all = [](const Shape& shape, double value) { return Values(static_cast<size_t>(shape.size()), value); };
    const Data fine_x{all(c.x(), fine), {}, all(c.y(), 1), all(c.y(), 1)};
    const Data fine_dy{all(c.x(), 1), {}, all(c.y(), 1), all(c.y(), fine)};
    for (const Data& data : {fine_x, fine_dy}) {
      require_equal(compute<float>(c, data, {.tf32 = true}).dw, all(c.filter(), pixels * rounded));
      require_equal(compute<float>(c, data, {}).dw, all(c.filter(), pixels * fine));
    }
    require_equal(compute<float>(c, fine_dy, {.tf32 = true}).db, all(c.bias(), pixels * fine));
  }
}

TEST_CASE("filter_gradient: not a bit depends on the order of threads") {
  for (const Case& c :
       {Case{.n = 2, .h = 19, .w = 17, .c1 = 40, .c2 = 8, .k = 40}, Case{.h = 14, .w = 15, .c1 = 24, .k = 24},
        Case{.h = 12, .w = 60, .c1 = 1, .k = 24}, Case{.h = 12, .w = 30, .c1 = 40, .k = 2, .r = 1, .s = 1},
        Case{.h = 12, .w = 13, .c1 = 40, .k = 24, .transposed = true}}) {
    CAPTURE(c);
    const Data data = random_data(c);
    for (int precision = 0; precision < 3; ++precision) {
      const auto results = [&](int schedule) {
        const Setup setup{.tf32 = precision == 1, .relu = true, .schedule = schedule};
        return precision == 0 ? compute<bf16>(c, data, setup) : compute<float>(c, data, setup);
      };
      const Result expected = results(0);
      for (int schedule = 1; schedule < 5; ++schedule) {
        CAPTURE(precision, schedule);
        const Result actual = results(schedule);
        require_equal(actual.dw, expected.dw);
        require_equal(actual.db, expected.db);
      }
    }
  }
}

}  // namespace unet::kernels::test
