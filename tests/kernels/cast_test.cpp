#include "kernels/cast.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

template <class From, class To, class Targets>
void require_exact_copy(const Targets& targets) {
  for (const Target target : targets) {
    for (const int64_t c : kChannels) {
      const Shape shape{2, 3, 5, c};
      const Values x = integers(shape, 1, 0, 100);
      for (const Storage x_storage : kStorages) {
        for (const Storage y_storage : kStorages) {
          CAPTURE(name_of(target), shape, x_storage, y_storage);
          const Buffer<From> x_buffer(x_storage, shape, x);
          const Buffer<To> y_buffer(y_storage, shape);
          Runner{target}(Cast<From, To>{.x = x_buffer, .y = y_buffer});
          require_equal(y_buffer.values(), x);
          REQUIRE(y_buffer.intact());
          REQUIRE(x_buffer.intact());
        }
      }
    }
  }
}

TEST_CASE("cast: copies small integers exactly between all types and layouts") {
#define UNET_TEST(From, To) require_exact_copy<From, To>(kTargets);
  UNET_FOR_EACH_CAST(UNET_TEST)
#undef UNET_TEST
#define UNET_TEST(From, To) require_exact_copy<From, To>(std::array{Target::reference});
  UNET_FOR_EACH_DOUBLE_CAST(UNET_TEST)
#undef UNET_TEST
}

template <class From, class To>
Values converted(Target target, const Values& x) {
  const Shape shape{1, 1, static_cast<int64_t>(x.size()), 1};
  const Buffer<From> x_buffer(Storage::nhwc, shape, x);
  const Buffer<To> y_buffer(Storage::nhwc, shape);
  Runner{target}(Cast<From, To>{.x = x_buffer, .y = y_buffer});
  return y_buffer.values();
}

TEST_CASE("cast: f32 to bf16 rounds to nearest even and keeps what is special") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const double half = 0x1p-8;  // half a unit in the last place of 1
  const Values x{1 + half, 1 + 3 * half, 1 + 1.5 * half, 1 + 0.5 * half, -1 - half, 3.4e38, 0x1p-133, nan, -inf};
  const Values y{1, 1 + 4 * half, 1 + 2 * half, 1, -1, inf, 0x1p-133, nan, -inf};
  for (const Target target : kTargets) require_equal(converted<float, bf16>(target, x), y);
}

TEST_CASE("cast: f32 to i32 truncates and clamps") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Values x{1.9, -1.9, 3e9, -3e9, nan, 2147483520.0, -2147483648.0, 0.5, -0.5};
  const Values y{1, -1, 2147483520.0, -2147483648.0, -2147483648.0, 2147483520.0, -2147483648.0, 0, 0};
  for (const Target target : kTargets) require_equal(converted<float, int32_t>(target, x), y);
}

TEST_CASE("cast: every bf16 survives the way to f32 and back") {
  const Shape shape{1, 256, 256, 1};
  std::vector<bf16> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i].bits = static_cast<uint16_t>(i);
  for (const Target target : kTargets) {
    const Buffer<bf16> x(Storage::nhwc, shape), back(Storage::nhwc, shape);
    const Buffer<float> wide(Storage::nhwc, shape);
    TargetMemory::upload(x.view().data, bits.data(), bits.size() * sizeof(bf16));
    Runner run(target);
    run(Cast<bf16, float>{.x = x, .y = wide});
    run(Cast<float, bf16>{.x = wide, .y = back});
    for (size_t i = 0; i < bits.size(); ++i) {
      const bool is_nan = (i & 0x7fff) > 0x7f80;
      const uint16_t result = back.view().data[i].bits;
      if (result != (is_nan ? i | 0x40 : i)) FAIL("bits " << i << " became " << result);
    }
  }
}

TEST_CASE("cast: double is computed on the reference target alone") {
  REQUIRE_THROWS_AS((converted<double, float>(kTarget, {1})), TypeError);
  REQUIRE_THROWS_AS((converted<float, double>(kTarget, {1})), TypeError);
  REQUIRE_THROWS_AS((converted<double, double>(kTarget, {1})), TypeError);
  require_equal(converted<float, double>(Target::reference, {0.5}), {0.5});
}

TEST_CASE("cast: refuses operands that do not fit") {
  const Buffer<float> a(Storage::nhwc, {2, 3, 4, 5}), b(Storage::nhwc, {2, 3, 4, 6}), c(Storage::nhwc, {2, 3, 5, 4});
  using Copy = Cast<float, float>;
  require_refused<ShapeError>(Copy{.x = a, .y = b}, {"cast: y", "[2,3,4,5]", "[2,3,4,6]"});
  require_refused<ShapeError>(Copy{.x = c, .y = a}, {"cast: y", "[2,3,5,4]", "[2,3,4,5]"});
  require_refused<ShapeError>(Copy{.x = a, .y = {}}, {"cast: y", "[2,3,4,5]"});
  require_refused<ShapeError>(Copy{.x = {}, .y = a}, {"cast: x"});
  require_refused<ShapeError>(Copy{.x = a, .y = a}, {"y [2,3,4,5] over x [2,3,4,5]"});
  const auto huge = View<float>::nhwc(a.view().data, int64_t{1} << 31, int64_t{1} << 31, int64_t{1} << 31, 1);
  require_refused<ShapeError>(Copy{.x = huge, .y = a}, {"cast: x", "2^40", "[2147483648,2147483648,2147483648,1]"});
}

}  // namespace
}  // namespace unet::kernels::test
