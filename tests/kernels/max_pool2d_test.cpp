#include "kernels/max_pool2d.h"

#include "kernels/add.h"
#include "kernels/relu.h"
#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

/// Maximum and code of every window, straight from the definition, for finite x.
std::pair<Values, Values> pooled(const Values& x, Shape s) {
  Values y, code;
  for (int64_t n = 0; n < s.n; ++n) {
    for (int64_t i = 0; i < s.h / 2; ++i) {
      for (int64_t j = 0; j < s.w / 2; ++j) {
        for (int64_t c = 0; c < s.c; ++c) {
          const auto at = [&](int64_t k) {
            return x[static_cast<size_t>(((n * s.h + 2 * i + k / 2) * s.w + 2 * j + k % 2) * s.c + c)];
          };
          int64_t best = 0;
          for (int64_t k = 1; k < 4; ++k) best = at(k) > at(best) ? k : best;
          y.push_back(at(best)), code.push_back(static_cast<double>(best));
        }
      }
    }
  }
  return {y, code};
}

Values spread(const Values& dy, const Values& code, Shape s) {
  Values dx(static_cast<size_t>(s.size()), 0);
  size_t o = 0;
  for (int64_t n = 0; n < s.n; ++n) {
    for (int64_t i = 0; i < s.h / 2; ++i) {
      for (int64_t j = 0; j < s.w / 2; ++j) {
        for (int64_t c = 0; c < s.c; ++c, ++o) {
          const auto k = static_cast<int64_t>(code[o]);
          dx[static_cast<size_t>(((n * s.h + 2 * i + k / 2) * s.w + 2 * j + k % 2) * s.c + c)] = dy[o];
        }
      }
    }
  }
  return dx;
}

TEMPLATE_TEST_CASE("max_pool2d: pools and spreads in every mix of layouts, odd sizes included", "", float, bf16) {
  for (const Target target : kTargets) {
    for (const int64_t c : kChannels) {
      for (const Shape shape : {Shape{2, 4, 6, c}, Shape{2, 5, 7, c}, Shape{1, 3, 2, c}}) {
        const Shape half{shape.n, shape.h / 2, shape.w / 2, c};
        const Values x = integers(shape, 1, -3, 3), dy = integers(half, 2, -9, 9);
        const auto [y, code] = pooled(x, shape);
        const Values dx = spread(dy, code, shape);
        for (const Storage x_storage : kStorages) {
          for (const Storage y_storage : kStorages) {
            CAPTURE(name_of(target), shape, x_storage, y_storage);
            Runner run(target);
            const Buffer<TestType> x_buffer(x_storage, shape, x), y_buffer(y_storage, half), y_alone(y_storage, half);
            const Buffer<uint8_t> code_buffer(y_storage, half);
            run(MaxPool2d<TestType>{.x = x_buffer, .y = y_buffer, .code = code_buffer});
            require_equal(y_buffer.values(), y);
            require_equal(code_buffer.values(), code);
            REQUIRE((y_buffer.intact() && code_buffer.intact() && x_buffer.intact()));
            run(MaxPool2d<TestType>{.x = x_buffer, .y = y_alone, .code = {}});
            require_equal(y_alone.values(), y);
            REQUIRE(y_alone.intact());

            const Buffer<TestType> dy_buffer(y_storage, half, dy), dx_buffer(x_storage, shape);
            run(MaxPool2dBackward<TestType>{.code = code_buffer, .dy = dy_buffer, .dx = dx_buffer});
            require_equal(dx_buffer.values(), dx);
            REQUIRE(dx_buffer.intact());
          }
        }
      }
    }
  }
}

TEST_CASE("max_pool2d: code in another layout than its gradient") {
  const Shape shape{1, 5, 4, 17}, half{1, 2, 2, 17};
  const Values dy = integers(half, 1, -9, 9), code = integers(half, 2, 0, 3);
  for (const Target target : kTargets) {
    const Buffer<uint8_t> code_buffer(Storage::nhwc, half, code);
    const Buffer<float> dy_buffer(kOtherStorage, half, dy), dx(kOtherStorage, shape);
    Runner{target}(MaxPool2dBackward<float>{.code = code_buffer, .dy = dy_buffer, .dx = dx});
    require_equal(dx.values(), spread(dy, code, shape));
    REQUIRE(dx.intact());
  }
}

TEST_CASE("max_pool2d: ties go to the first, NaN beats numbers") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  struct Window {
    Values x;
    double y, code;
  };
  const std::vector<Window> windows{{{1, 1, 1, 1}, 1, 0},
                                    {{0, 2, 2, 1}, 2, 1},
                                    {{0, 1, 2, 2}, 2, 2},
                                    {{0, 1, 2, 3}, 3, 3},
                                    {{inf, nan, 1, nan}, nan, 1},
                                    {{nan, inf, nan, 1}, nan, 0},
                                    {{-inf, -inf, -inf, -inf}, -inf, 0},
                                    {{1, 2, inf, nan}, nan, 3}};
  for (const Target target : kTargets) {
    for (const Window& window : windows) {
      for (const int64_t c : {1, 16, 20}) {  // the same window in every channel
        Values x, y(static_cast<size_t>(c), window.y), code(static_cast<size_t>(c), window.code);
        for (const double v : window.x) x.insert(x.end(), static_cast<size_t>(c), v);
        const Buffer<float> x_buffer(kOtherStorage, {1, 2, 2, c}, x), y_buffer(kOtherStorage, {1, 1, 1, c});
        const Buffer<uint8_t> code_buffer(kOtherStorage, {1, 1, 1, c});
        Runner{target}(MaxPool2d<float>{.x = x_buffer, .y = y_buffer, .code = code_buffer});
        require_equal(y_buffer.values(), y);
        require_equal(code_buffer.values(), code);
      }
    }
  }
}

/// Where a skip connection's gradient lies in dx.
struct Window {
  int64_t h, w, top, left;
};

TEMPLATE_TEST_CASE("max_pool2d: backward with skip and ReLU gives the bits of the operations one by one", "", float,
                   bf16) {
  for (const Target target : kTargets) {
    size_t round = 0;
    for (const int64_t c : kChannels) {
      for (const auto& [shape, window] :
           {std::pair{Shape{2, 6, 8, c}, Window{4, 5, 1, 2}}, std::pair{Shape{2, 7, 5, c}, Window{7, 5, 0, 0}},
            std::pair{Shape{1, 5, 9, c}, Window{1, 2, 4, 7}}, std::pair{Shape{1, 2, 2, c}, Window{1, 1, 0, 1}}}) {
        const auto storage = [&](size_t i) { return kStorages[(round / (i + 1) + i) % kStorages.size()]; };
        ++round;
        CAPTURE(name_of(target), shape, window.h, window.w, window.top, window.left, round);
        const Shape half{shape.n, shape.h / 2, shape.w / 2, c}, skip_shape{shape.n, window.h, window.w, c};
        const Buffer<TestType> dy(storage(0), half, randoms<TestType>(half, 1, -1, 1));
        const Buffer<uint8_t> code(storage(1), half, integers(half, 2, 0, 3));
        const Buffer<TestType> skip(storage(2), skip_shape, randoms<TestType>(skip_shape, 3, -1, 1));
        const Buffer<TestType> relu_y(storage(3), shape,
                                      mapped(integers(shape, 4, -2, 2), [](double y) { return std::max(y, 0.0); }));
        Runner run(target);
        for (const bool has_skip : {false, true}) {
          for (const bool has_relu : {false, true}) {
            CAPTURE(has_skip, has_relu);
            const Buffer<TestType> plain(storage(4), shape), fused(storage(4), shape);
            MaxPool2dBackward<TestType> op{.code = code, .dy = dy, .dx = plain};
            run(op);
            const View<TestType> part = plain.view().crop(window.top, window.left, window.h, window.w);
            if (has_skip) run(Add<TestType>{.a = part, .b = skip, .y = part});
            if (has_relu) run(ReluBackward<TestType>{.y = relu_y, .dy = plain, .dx = plain});

            op.dx = fused;
            if (has_skip) op.skip = skip, op.skip_top = window.top, op.skip_left = window.left;
            if (has_relu) op.relu_y = relu_y;
            run(op);
            require_equal(fused.values(), plain.values());
            REQUIRE(fused.intact());
          }
        }
      }
    }
  }
}

TEST_CASE("max_pool2d: skip and ReLU by hand, a NaN among them") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Shape shape{1, 3, 3, 1}, half{1, 1, 1, 1};
  for (const Target target : kTargets) {
    const Buffer<uint8_t> code(Storage::nhwc, half, {2});
    const Buffer<float> dy(Storage::nhwc, half, {5}), dx(Storage::nhwc, shape);
    const Buffer<float> skip(Storage::nhwc, {1, 2, 2, 1}, {10, 20, 30, 40});
    const Buffer<float> relu_y(Storage::nhwc, shape, {1, 1, 1, 1, nan, 0, 1, 1, 1});
    Runner{target}(MaxPool2dBackward<float>{
        .code = code, .dy = dy, .dx = dx, .skip = skip, .skip_top = 1, .skip_left = 0, .relu_y = relu_y});
    require_equal(dx.values(), {0, 0, 0, 15, 0, 0, 30, 40, 0});
  }
}

TEST_CASE("max_pool2d: gradient equals finite differences") {
  const Shape shape{1, 5, 6, 3}, half{1, 2, 3, 3};
  Values x(static_cast<size_t>(shape.size()));  // all different, by more than the step
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i * 37 % x.size()) / 50;
  const Values dy = randoms(half, 2, -1, 1);
  Runner run(Target::reference);
  const Buffer<double> y(Storage::nhwc, half), dy_buffer(Storage::nhwc, half, dy), dx(Storage::nhwc, shape);
  const Buffer<uint8_t> code(Storage::nhwc, half);
  const auto f = [&](const Values& at) {
    const Buffer<double> x_buffer(Storage::nhwc, shape, at);
    run(MaxPool2d<double>{.x = x_buffer, .y = y, .code = code});
    return dot(y.values(), dy);
  };
  f(x);
  run(MaxPool2dBackward<double>{.code = code, .dy = dy_buffer, .dx = dx});
  require_close(dx.values(), numeric_gradient(f, x), 1e-6);
}

TEST_CASE("max_pool2d: refuses operands that do not fit") {
  const Buffer<float> x(Storage::nhwc, {1, 5, 6, 3}), y(Storage::nhwc, {1, 2, 3, 3}), thin(Storage::nhwc, {1, 1, 6, 3});
  const Buffer<uint8_t> code(Storage::nhwc, {1, 2, 3, 3}), wrong(Storage::nhwc, {1, 2, 3, 4});
  using Forward = MaxPool2d<float>;
  using Backward = MaxPool2dBackward<float>;
  require_refused<ShapeError>(Forward{.x = x, .y = x, .code = {}}, {"max_pool2d: y", "[1,2,3,3]", "[1,5,6,3]"});
  require_refused<ShapeError>(Forward{.x = thin, .y = y, .code = {}}, {"max_pool2d: x", "[1,2,2,3]", "[1,1,6,3]"});
  require_refused<ShapeError>(Forward{.x = x, .y = y, .code = wrong}, {"code", "[1,2,3,3]", "[1,2,3,4]"});
  require_refused<ShapeError>(Forward{.x = x, .y = x.view().crop(0, 0, 2, 3), .code = {}},
                              {"[1,2,3,3] over x [1,5,6,3]"});
  require_refused<ShapeError>(Forward{.x = x, .y = {}, .code = {}}, {"max_pool2d: y", "[1,2,3,3]", "no data"});
  require_refused<ShapeError>(Backward{.code = code, .dy = x, .dx = x}, {"dy", "[1,2,3,3]", "[1,5,6,3]"});
  require_refused<ShapeError>(Backward{.code = wrong, .dy = y, .dx = x}, {"code", "[1,2,3,3]", "[1,2,3,4]"});
  require_refused<ShapeError>(Backward{.code = {}, .dy = y, .dx = x}, {"code", "[1,2,3,3]"});
  require_refused<ShapeError>(Backward{.code = code, .dy = y, .dx = {}}, {"dx"});
  require_refused<ShapeError>(Backward{.code = code, .dy = y, .dx = thin}, {"dx", "[1,1,6,3]"});
  const Buffer<float> skip(Storage::nhwc, {1, 2, 3, 3}), deep(Storage::nhwc, {1, 2, 3, 4}),
      dx(Storage::nhwc, {1, 5, 6, 3});
  const auto with_skip = [&](const View<const float>& v, int64_t top, int64_t left) {
    return Backward{.code = code, .dy = y, .dx = dx, .skip = v, .skip_top = top, .skip_left = left};
  };
  with_skip(skip, 3, 3).check();
  require_refused<ShapeError>(with_skip(deep, 0, 0), {"skip", "[1,2,3,3]", "[1,2,3,4]"});
  require_refused<ShapeError>(with_skip(skip, 4, 3), {"skip", "[1,5,6,3]", "[1,2,3,3] at row 4, column 3"});
  require_refused<ShapeError>(with_skip(skip, 3, 4), {"skip", "at row 3, column 4"});
  require_refused<ShapeError>(with_skip(skip, -1, 0), {"skip", "at row -1, column 0"});
  require_refused<ShapeError>(with_skip(skip, 0, -1), {"skip", "at row 0, column -1"});
  require_refused<ShapeError>(with_skip(dx.view().crop(0, 0, 2, 3), 0, 0), {"dx [1,5,6,3] over skip [1,2,3,3]"});
  require_refused<ShapeError>(Backward{.code = code, .dy = y, .dx = dx, .relu_y = y}, {"relu_y", "[1,5,6,3]"});
  require_refused<ShapeError>(Backward{.code = code, .dy = y, .dx = dx, .relu_y = dx}, {"dx [1,5,6,3] over relu_y"});
}

}  // namespace
}  // namespace unet::kernels::test
