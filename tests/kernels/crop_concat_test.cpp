#include "kernels/crop_concat.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

Values concatenated(const Values& x, int64_t c1, const Values& x2, int64_t c2) {
  Values y;
  for (size_t pixel = 0; pixel < x.size() / static_cast<size_t>(c1); ++pixel) {
    const auto first = x.begin() + static_cast<int64_t>(pixel) * c1,
               second = x2.begin() + static_cast<int64_t>(pixel) * c2;
    y.insert(y.end(), first, first + c1);
    y.insert(y.end(), second, second + c2);
  }
  return y;
}

/// Joins integers and splits the result again.
template <class T>
void require_joined_and_split(Target target, int64_t c1, int64_t c2, const std::array<Storage, 3>& storages) {
  const auto [s1, s2, s] = storages;
  CAPTURE(name_of(target), c1, c2, s1, s2, s);
  const Shape shape1{2, 2, 3, c1}, shape2{2, 2, 3, c2}, shape{2, 2, 3, c1 + c2};
  const Values x = integers(shape1, 1, -100, 100), x2 = integers(shape2, 2, -100, 100);
  Runner run(target);
  const Buffer<T> x_buffer(s1, shape1, x), x2_buffer(s2, shape2, x2), y_buffer(s, shape);
  run(CropConcat<T>{.x = x_buffer, .x2 = x2_buffer, .y = y_buffer});
  require_equal(y_buffer.values(), concatenated(x, c1, x2, c2));
  REQUIRE(y_buffer.intact());

  const Buffer<T> dx(s1, shape1), dx2(s2, shape2);
  run(CropConcatBackward<T>{.dy = y_buffer, .dx = dx, .dx2 = dx2, .c1 = c1});
  require_equal(dx.values(), x);
  require_equal(dx2.values(), x2);
  REQUIRE((dx.intact() && dx2.intact()));
}

TEMPLATE_TEST_CASE("crop_concat: joins and splits channels in every mix of layouts", "", float, bf16) {
  constexpr size_t storages = kStorages.size();
  for (const Target target : kTargets) {
    for (size_t i = 0; i < kChannels.size(); ++i) {
      for (size_t j = 0; j < kChannels.size(); ++j) {
        require_joined_and_split<TestType>(
            target, kChannels[i], kChannels[j],
            {kStorages[i % storages], kStorages[(i + j) % storages], kStorages[(i / storages + 2 * j) % storages]});
      }
    }
    for (const auto& [c1, c2] : {std::pair{3, 1}, std::pair{16, 32}, std::pair{33, 16}, std::pair{8, 24}}) {
      for (const Storage s1 : kStorages) {
        for (const Storage s2 : kStorages) {
          for (const Storage s : kStorages) require_joined_and_split<TestType>(target, c1, c2, {s1, s2, s});
        }
      }
    }
  }
}

TEST_CASE("crop_concat: either gradient alone") {
  const Shape shape1{1, 2, 2, 3}, shape2{1, 2, 2, 2};
  const Values x = integers(shape1, 1, 0, 9), x2 = integers(shape2, 2, 0, 9);
  const Buffer<float> dy(Storage::nhwc, {1, 2, 2, 5}, concatenated(x, 3, x2, 2));
  for (const Target target : kTargets) {
    const Buffer<float> dx(kOtherStorage, shape1), dx2(Storage::nhwc, shape2);
    Runner run(target);
    run(CropConcatBackward<float>{.dy = dy, .dx = dx, .dx2 = {}, .c1 = 3});
    run(CropConcatBackward<float>{.dy = dy, .dx = {}, .dx2 = dx2, .c1 = 3});
    require_equal(dx.values(), x);
    require_equal(dx2.values(), x2);
  }
}

TEST_CASE("crop_concat: gradient of a cropped skip equals finite differences") {
  const Shape shape1{1, 2, 3, 2}, skip_shape{1, 5, 6, 3}, shape{1, 2, 3, 5};
  const Values x = randoms(shape1, 1, -1, 1), skip = randoms(skip_shape, 2, -1, 1), dy = randoms(shape, 3, -1, 1);
  Runner run(Target::reference);
  const Buffer<double> x_buffer(Storage::nhwc, shape1, x), y(Storage::nhwc, shape), dy_buffer(Storage::nhwc, shape, dy);
  const auto f = [&](const Values& at) {
    const Buffer<double> skip_buffer(Storage::nhwc, skip_shape, at);
    run(CropConcat<double>{.x = x_buffer, .x2 = skip_buffer.view().centre_crop(2, 3), .y = y});
    return dot(y.values(), dy);
  };
  const Buffer<double> dskip(Storage::nhwc, skip_shape, Values(static_cast<size_t>(skip_shape.size()), 0));
  run(CropConcatBackward<double>{.dy = dy_buffer, .dx = {}, .dx2 = dskip.view().centre_crop(2, 3), .c1 = 2});
  require_close(dskip.values(), numeric_gradient(f, skip), 1e-6);
}

TEST_CASE("crop_concat: refuses operands that do not fit") {
  const Buffer<float> x(Storage::nhwc, {1, 3, 4, 2}), x2(Storage::nhwc, {1, 3, 4, 3}), y(Storage::nhwc, {1, 3, 4, 5});
  const Buffer<float> larger(Storage::nhwc, {1, 5, 6, 3}), narrow(Storage::nhwc, {1, 3, 4, 4});
  using Forward = CropConcat<float>;
  using Backward = CropConcatBackward<float>;
  require_refused<ShapeError>(Forward{.x = x, .x2 = larger, .y = y}, {"crop_concat: x2", "[1,3,4,3]", "[1,5,6,3]"});
  require_refused<ShapeError>(Forward{.x = x, .x2 = x2, .y = narrow}, {"crop_concat: y", "[1,3,4,5]", "[1,3,4,4]"});
  require_refused<ShapeError>(Forward{.x = {}, .x2 = x2, .y = y}, {"crop_concat: x"});
  require_refused<ShapeError>(Forward{.x = x, .x2 = {}, .y = y}, {"crop_concat: x2"});
  auto inside = View<float>::nhwc(y.view().data, 1, 3, 4, 2);
  require_refused<ShapeError>(Forward{.x = inside, .x2 = x2, .y = y}, {"y [1,3,4,5] over x [1,3,4,2]"});
  require_refused<ShapeError>(Backward{.dy = y, .dx = x2, .dx2 = x2, .c1 = 2}, {"dx", "[1,3,4,2]", "[1,3,4,3]"});
  require_refused<ShapeError>(Backward{.dy = y, .dx = x, .dx2 = narrow, .c1 = 2}, {"dx2", "[1,3,4,3]", "[1,3,4,4]"});
  require_refused<ShapeError>(Backward{.dy = y, .dx = x, .dx2 = x2, .c1 = 0}, {"c1", "[1,3,4,5]", "got 0"});
  require_refused<ShapeError>(Backward{.dy = y, .dx = x, .dx2 = x2, .c1 = 5}, {"c1", "[1,3,4,5]", "got 5"});
  require_refused<ShapeError>(Backward{.dy = y, .dx = inside, .dx2 = x2, .c1 = 2}, {"dx [1,3,4,2] over dy [1,3,4,5]"});
}

}  // namespace
}  // namespace unet::kernels::test
