#include "kernels/view.h"

#include "tests/kernels/support.h"

namespace unet::kernels::test {
namespace {

TEST_CASE("view: offsets of both layouts by hand") {
  float memory[2 * 2 * 3 * 4 * 16];
  const auto nhwc = View<float>::nhwc(memory, 2, 3, 4, 20);
  REQUIRE(nhwc.offset(1, 2, 3, 17) == ((1 * 3 + 2) * 4 + 3) * 20 + 17);
  REQUIRE((nhwc.is_nhwc() && nhwc.is_dense() && !nhwc.is_blocked()));
  REQUIRE(nhwc.size() == 480);
  REQUIRE(nhwc.end() == memory + 480);

  const auto blocked = View<float>::blocked(memory, 2, 3, 4, 20);
  REQUIRE(blocked.offset(1, 2, 3, 17) == (((1 * 2 + 1) * 3 + 2) * 4 + 3) * 16 + 1);
  REQUIRE((blocked.is_blocked() && blocked.is_dense() && !blocked.is_nhwc()));
  REQUIRE(blocked.blocks() == 2);
  REQUIRE(blocked.end() == memory + 2 * 2 * 3 * 4 * 16);
  REQUIRE(&blocked(0, 0, 0, 16) == memory + 3 * 4 * 16);
}

TEST_CASE("view: a crop moves the pointer and keeps the strides") {
  float memory[2 * 5 * 6 * 3];
  const auto whole = View<float>::nhwc(memory, 2, 5, 6, 3);
  const auto part = whole.crop(1, 2, 3, 4);
  REQUIRE(part.shape_text() == "[2,3,4,3]");
  REQUIRE(&part(1, 0, 0, 2) == &whole(1, 1, 2, 2));
  REQUIRE_FALSE(part.is_dense());
  const auto centre = whole.centre_crop(2, 3);
  REQUIRE(&centre(0, 0, 0, 0) == &whole(0, 1, 1, 0));  // the odd rest stays below and to the right

  for (const auto& [top, left, rows, columns] :
       {std::array{-1, 0, 1, 1}, std::array{0, 3, 5, 4}, std::array{4, 0, 2, 1}, std::array{0, 0, 0, 1},
        std::array{0, 0, 1, 7}}) {
    REQUIRE_THROWS_AS(whole.crop(top, left, rows, columns), ShapeError);
  }
  REQUIRE_THROWS_WITH(whole.crop(0, 3, 5, 4), "crop: 5x4 at (0,3) does not fit into 5x6");
}

TEST_CASE("view: overlap and identity") {
  float memory[96];
  const auto whole = View<float>::nhwc(memory, 1, 4, 4, 3);
  const auto after = View<float>::nhwc(memory + 48, 1, 4, 4, 3);
  REQUIRE(overlap(whole, whole));
  REQUIRE_FALSE(overlap(whole, after));
  REQUIRE_FALSE(overlap(whole, View<float>{}));
  REQUIRE(overlap(whole, whole.crop(3, 3, 1, 1)));
  REQUIRE_FALSE(overlap(whole.crop(0, 0, 2, 4), whole.crop(2, 0, 2, 4)));
  REQUIRE(overlap(whole.crop(0, 0, 3, 4), whole.crop(2, 0, 2, 4)));

  REQUIRE(identical(whole, View<const float>(whole)));
  REQUIRE_FALSE(identical(whole, after));
  REQUIRE_FALSE(identical(whole, whole.crop(0, 0, 3, 4)));
}

TEST_CASE("view: test operands notice what they must") {
  Buffer<float> image(Storage::blocked_crop, {1, 2, 2, 3}, Values(12, 1));
  REQUIRE(image.intact());
  const View<float> view = image;
  const auto spoils = [&](float& place, float value) {
    const float before = std::exchange(place, value);
    const bool is_noticed = !image.intact();
    place = before;
    return is_noticed;
  };
  REQUIRE(spoils(view.data[3], 1));                  // padding
  REQUIRE(spoils(view.data[-1], 0));                 // left of the crop
  REQUIRE(spoils(view.data[2 * 16], 0));             // right of it
  REQUIRE(spoils(view.data[view.stride_h * 2], 0));  // below it
  REQUIRE_FALSE(spoils(view.data[0], 2));
}

}  // namespace
}  // namespace unet::kernels::test
