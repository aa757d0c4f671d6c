#include "unet/scaling.h"

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "unet/image_writer.h"

namespace unet {
namespace {

/// The pixels of a page as the network sees them.
std::vector<float> scaled(const std::vector<float>& values, SampleType type, InputNormalisation kind) {
  const test::TemporaryFolder folder;
  Image image(1, std::ssize(values));
  image.data = values;
  write_image(folder / "page.tif", image, type);
  ImageReader reader(folder / "page.tif");
  const PixelScaling scaling = pixel_scalings(kind, reader)[0];
  image = reader.read(0);
  scaling.apply(image);
  return image.data;
}

}  // namespace

TEST_CASE("scaling: integers by their type, anything by its own range") {
  CHECK(scaled({0, 51, 255}, kUint8, InputNormalisation::unit) == std::vector<float>{0, 0.2F, 1});
  CHECK(scaled({0, 65535}, kUint16, InputNormalisation::centred) == std::vector<float>{-0.5F, 0.5F});
  CHECK(scaled({100, 300, 500}, kUint16, InputNormalisation::min_max) == std::vector<float>{-0.5F, 0, 0.5F});
  CHECK(scaled({-2, 6, 2}, kFloat32, InputNormalisation::min_max) == std::vector<float>{-0.5F, 0.5F, 0});
  CHECK(scaled({7, 7}, kFloat32, InputNormalisation::min_max) == std::vector<float>{-0.5F, -0.5F});
}

TEST_CASE("scaling: floating-point values count as scaled already, and are refused where they are not") {
  CHECK(scaled({0, 0.25F, 1}, kFloat32, InputNormalisation::centred) == std::vector<float>{-0.5F, -0.25F, 0.5F});
  for (const std::vector<float>& values : {std::vector<float>{0, 4095}, {-0.5F, 0.5F}}) {
    CHECK_THROWS_AS(scaled(values, kFloat32, InputNormalisation::unit), DataError);
  }
  CHECK_THROWS_WITH(
      scaled({3, 4095}, kFloat32, InputNormalisation::centred),
      Catch::Contains("page.tif, page 0: expected values from 0 to 1, got 3 to 4095") && Catch::Contains("min_max"));
}

}  // namespace unet
