// Where kernels find their elements, proved in 128-bit arithmetic for views that no machine could hold.
#include "kernels/cuda/walk.cuh"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

using gpu::Divisor;
using gpu::Place;
using gpu::Walk;
using Wide = __int128;

uint64_t draw(std::mt19937_64& random, int bits) { return random() >> (64 - bits); }

TEST_CASE("walk: division by multiplication is exact") {
  std::mt19937_64 random(1);
  std::vector<int64_t> values{1, 2, 3, 4, 5, 7, 15, 16, 17, 255, 256, 641, 65535, 65536, 65537};
  for (int bits = 20; bits <= 62; ++bits) {
    const int64_t power = int64_t{1} << bits;
    values.insert(values.end(), {power - 1, power, power + 1, static_cast<int64_t>(draw(random, bits) + 1)});
  }
  for (const int64_t divisor : values) {
    const Divisor by(divisor);
    const auto require_exact = [&](int64_t dividend) {
      if (dividend < 0) return;
      int64_t rest = -1;
      const int64_t quotient = by.divide(dividend, rest);
      if (quotient != dividend / divisor || rest != dividend % divisor) {
        FAIL(dividend << " / " << divisor << " became " << quotient << ", rest " << rest);
      }
    };
    for (const int64_t near : values) {
      for (int64_t d = -2; d <= 2; ++d) require_exact(near + d);
      const Wide multiple = static_cast<Wide>(near) * divisor;
      if (multiple > std::numeric_limits<int64_t>::max() - 2) continue;
      for (int64_t d = -2; d <= 2; ++d) require_exact(static_cast<int64_t>(multiple) + d);
    }
    for (int i = 0; i < 200; ++i) require_exact(static_cast<int64_t>(draw(random, 1 + i % 63)));
    require_exact(std::numeric_limits<int64_t>::max());
  }
}

/// Offset of the logical element `index` of v, by definition.
Wide offset(const View<float>& v, int64_t index) {
  const int64_t c = index % v.c, w = index / v.c % v.w, h = index / v.c / v.w % v.h, n = index / v.c / v.w / v.h;
  return static_cast<Wide>(n) * v.stride_n + static_cast<Wide>(h) * v.stride_h + static_cast<Wide>(w) * v.stride_w + c;
}

View<float> with_gaps(const View<float>& dense, int64_t pixel_gap, int64_t row_gap, int64_t image_gap) {
  View<float> v = dense;
  v.stride_w = v.c + pixel_gap;
  v.stride_h = v.w * v.stride_w + row_gap;
  v.stride_n = v.h * v.stride_h + image_gap;
  return v;
}

/// Every place of a walk over both views is where the definition puts it.
void require_same_places(const View<float>& a, const View<float>& b, int64_t width) {
  CAPTURE(a.shape_text(), width);
  const Walk walk = Walk::over(width, a, b);
  REQUIRE(walk.count() == a.size() / width);
  const auto walked_a = walk(a), walked_b = walk(b);
  const auto require_place = [&](int64_t index) {
    const Place place = walk.place(index);
    if (walked_a.offset(place) != offset(a, index * width) || walked_b.offset(place) != offset(b, index * width)) {
      FAIL("group " << index << " is not at its place");
    }
  };
  std::mt19937_64 random(7);
  const int64_t count = walk.count();
  for (int64_t i = 0; i < std::min<int64_t>(count, 600); ++i) require_place(i), require_place(count - 1 - i);
  for (int i = 0; i < 600; ++i) {
    require_place(static_cast<int64_t>(random() % static_cast<uint64_t>(count)));
    const int64_t row = a.w * a.c / width,
                  near = static_cast<int64_t>(random() % static_cast<uint64_t>(count / row + 1));
    for (const int64_t index : {near * row - 1, near * row}) {
      if (index >= 0 && index < count) require_place(index);
    }
  }
}

TEST_CASE("walk: dense views, crops and channels of views, beyond 2^31 elements") {
  float memory = 0;
  for (const Shape s : {Shape{1, 1, 1, 8}, Shape{2, 3, 5, 16}, Shape{1, 7, 1, 8}, Shape{3, 1, 4, 24}, Shape{1, 1, 9, 8},
                        Shape{2, 40000, 30000, 64}, Shape{5, 70001, 65537, 8}, Shape{1, 1, int64_t{1} << 33, 8},
                        Shape{int64_t{1} << 20, 1, 3, 4096}, Shape{3, 3, 3, int64_t{1} << 34}}) {
    const auto dense = View<float>::nhwc(&memory, s.n, s.h, s.w, s.c);
    const std::array views{dense,
                           with_gaps(dense, 0, 24, 0),
                           with_gaps(dense, 0, 0, 40),
                           with_gaps(dense, 8, 0, 0),
                           with_gaps(dense, 16, 8, 8),
                           with_gaps(dense, 8, int64_t{1} << 31, int64_t{1} << 40)};
    for (const auto& a : views) {
      for (const auto& b : views) {
        for (const int64_t width : {1, 4, 8}) require_same_places(a, b, width);
      }
    }
  }
}

TEST_CASE("walk: pixels of views with different numbers of channels, and absent views do not matter") {
  float memory = 0;
  for (const Shape s : {Shape{2, 3, 5, 1}, Shape{4, 40000, 50000, 1}}) {
    const auto x = with_gaps(View<float>::nhwc(&memory, s.n, s.h, s.w, 5), 0, 10, 0);
    const auto labels = View<float>::nhwc(&memory, s.n, s.h, s.w, 1);
    const Walk walk = Walk::over_pixels(x, labels, View<const float>{});
    REQUIRE(walk.count() == s.n * s.h * s.w);
    for (const int64_t i : {int64_t{0}, s.w - 1, s.w, walk.count() / 2, walk.count() / 3, walk.count() - 1}) {
      REQUIRE(walk(x).offset(walk.place(i)) == static_cast<int64_t>(offset(x, i * 5)));
      REQUIRE(walk(labels).offset(walk.place(i)) == i);
    }
    REQUIRE_FALSE(walk(View<float>{}));
  }
}

}  // namespace
}  // namespace unet::kernels::test
