#include "kernels/mirror_gather.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

TEMPLATE_TEST_CASE("mirror_gather: windows inside, across and far outside of the image", "", float, bf16) {
  struct Window {
    int64_t top, left, rows, columns;
  };
  const std::vector<Window> windows{{1, 2, 3, 4}, {-3, -5, 11, 17}, {-40, 33, 5, 3}, {4, 6, 1, 1}, {0, 0, 5, 7}};
  for (const Target target : kTargets) {
    for (const int64_t c : {1, 3, 16, 17}) {
      const Shape image{2, 5, 7, c};
      const Values x = integers(image, 1, -99, 99);
      for (const Window& window : windows) {
        const Shape shape{2, window.rows, window.columns, c};
        // Walked pixel by pixel: at the border the direction turns.
        const auto walk = [](int64_t from, int64_t to, int64_t length) {
          int64_t at = 0, direction = from < to ? 1 : -1;
          int64_t step = 1;
          for (int64_t i = from; i != to; i += direction) {
            if (at + step < 0 || at + step >= length) step = -step;
            at += step;
          }
          return at;
        };
        Values expected;
        for (int64_t n = 0; n < 2; ++n) {
          for (int64_t h = 0; h < window.rows; ++h) {
            for (int64_t w = 0; w < window.columns; ++w) {
              const int64_t y = walk(0, window.top + h, image.h), z = walk(0, window.left + w, image.w);
              for (int64_t k = 0; k < c; ++k) {
                expected.push_back(x[static_cast<size_t>(((n * image.h + y) * image.w + z) * c + k)]);
              }
            }
          }
        }
        for (const Storage storage : kStorages) {
          CAPTURE(name_of(target), shape, window.top, window.left, storage);
          Runner run(target);
          const Buffer<float> x_buffer(storage, image, x);
          const Buffer<TestType> y(storage, shape);
          run(MirrorGather<TestType>{.x = x_buffer, .top = window.top, .left = window.left, .y = y});
          require_equal(y.values(), expected);
          REQUIRE(y.intact());
        }
      }
    }
  }
}

TEST_CASE("mirror_gather: an image of one row or column repeats it") {
  for (const Target target : kTargets) {
    const Buffer<float> x(Storage::nhwc, {1, 1, 3, 1}, {1, 2, 3}), y(Storage::nhwc, {1, 2, 7, 1});
    Runner{target}(MirrorGather<float>{.x = x, .top = -9, .left = -2, .y = y});
    require_equal(y.values(), {3, 2, 1, 2, 3, 2, 1, 3, 2, 1, 2, 3, 2, 1});
  }
}

TEST_CASE("mirror_gather: refuses operands that do not fit") {
  const Buffer<float> x(Storage::nhwc, {1, 5, 6, 3}), y(Storage::nhwc, {1, 9, 9, 2}), good(Storage::nhwc, {1, 2, 2, 3});
  using Op = MirrorGather<float>;
  require_refused<ShapeError>(Op{.x = x, .y = y}, {"mirror_gather: y", "[1,9,9,3]", "[1,9,9,2]"});
  require_refused<ShapeError>(Op{.x = x, .y = {}}, {"mirror_gather: y"});
  require_refused<ShapeError>(Op{.x = {}, .y = good}, {"mirror_gather: x"});
  require_refused<ShapeError>(Op{.x = x, .y = x.view().crop(0, 0, 2, 2)}, {"over x"});
  require_refused<ShapeError>(Op{.x = x, .top = int64_t{1} << 41, .y = good}, {"2^40", "2199023255552"});
}

}  // namespace
}  // namespace unet::kernels::test
