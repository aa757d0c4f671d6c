#include "unet/png_io.h"

#include <png.h>
#include <sys/resource.h>

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "unet/image_reader.h"
#include "unet/output_file.h"

namespace unet {
namespace {

using Catch::Contains;
using test::TemporaryFolder;

struct PngSpec {
  int height = 23, width = 37, bits = 8, color = PNG_COLOR_TYPE_GRAY;
  bool interlaced = false;
  unsigned pixels_per_metre = 0;

  int channels() const { return 1 + (color & PNG_COLOR_MASK_COLOR ? 2 : 0) + (color & PNG_COLOR_MASK_ALPHA ? 1 : 0); }
  int value(int y, int x, int c) const { return (y * 1009 + x * 353 + c * 77 + x * y) % (1 << bits); }
};

/// Written by libpng row by row; samples packed most significant bit first, two bytes big-endian.
void write_png(const std::filesystem::path& path, const PngSpec& spec) {
  FILE* file = std::fopen(path.c_str(), "wb");
  REQUIRE(file != nullptr);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_init_io(png, file);
  png_set_IHDR(png, info, static_cast<png_uint_32>(spec.width), static_cast<png_uint_32>(spec.height), spec.bits,
               spec.color, spec.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  const png_color black{0, 0, 0};
  if (spec.color == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, &black, 1);
  if (spec.pixels_per_metre > 0) {
    png_set_pHYs(png, info, spec.pixels_per_metre, spec.pixels_per_metre, PNG_RESOLUTION_METER);
  }
  png_write_info(png, info);
  std::vector<std::vector<png_byte>> rows;
  std::vector<png_bytep> pointers;
  for (int y = 0; y < spec.height; ++y) {
    std::vector<png_byte>& row = rows.emplace_back((spec.width * spec.channels() * spec.bits + 7) / 8);
    for (int i = 0; i < spec.width * spec.channels(); ++i) {
      const int value =
          spec.color == PNG_COLOR_TYPE_PALETTE ? 0 : spec.value(y, i / spec.channels(), i % spec.channels());
      for (int bit = 0; bit < spec.bits; ++bit) {
        const auto at = static_cast<size_t>(i * spec.bits + bit);
        if (value >> (spec.bits - 1 - bit) & 1) row[at / 8] |= static_cast<png_byte>(0x80 >> at % 8);
      }
    }
  }
  for (auto& row : rows) pointers.push_back(row.data());
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  std::fclose(file);
}

int64_t wrong_values(const Image& window, const PngSpec& spec, int64_t top = 0, int64_t left = 0) {
  int64_t wrong = 0;
  for (int64_t y = 0; y < window.height; ++y) {
    for (int64_t x = 0; x < window.width; ++x) {
      for (int64_t c = 0; c < window.channels; ++c) {
        const int expected = spec.value(static_cast<int>(top + y), static_cast<int>(left + x), static_cast<int>(c));
        if (window.at(y, x, c) != static_cast<float>(expected)) ++wrong;
      }
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("every kind of PNG but palettes reads back exactly") {
  const TemporaryFolder folder;
  int files = 0;
  for (const int color :
       {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA}) {
    for (const int bits : {1, 2, 4, 8, 16}) {
      if (bits < 8 && color != PNG_COLOR_TYPE_GRAY) continue;  // PNG has no such files
      for (const bool interlaced : {false, true}) {
        const PngSpec spec{.bits = bits, .color = color, .interlaced = interlaced};
        CAPTURE(color, bits, interlaced);
        write_png(folder / "a.png", spec);
        ImageReader reader(folder / "a.png");
        CHECK(reader.info(0).type.bits == bits);
        CHECK(reader.info(0).has_alpha == ((color & PNG_COLOR_MASK_ALPHA) != 0));
        const Image image = reader.read(0);
        CHECK(image.shape_text() == concat("[23,37,", spec.channels(), "]"));
        CHECK(wrong_values(image, spec) == 0);
        ++files;
      }
    }
  }
  CHECK(files == (5 + 2 * 3) * 2);
}

TEST_CASE("windows of a PNG, forwards and backwards") {
  const TemporaryFolder folder;
  const PngSpec spec{.height = 600, .width = 3000, .bits = 16};  // four bands
  write_png(folder / "a.png", spec);
  ImageReader reader(folder / "a.png", {.cache_bytes = 0});
  for (const Window window :
       {Window{500, 2000, 100, 50}, Window{0, 0, 3, 3000}, Window{170, 7, 300, 1}, Window{169, 0, 9, 9}}) {
    CHECK(wrong_values(reader.read(0, window), spec, window.top, window.left) == 0);
  }
}

TEST_CASE("what is wrong with a PNG is said") {
  const TemporaryFolder folder;
  write_png(folder / "palette.png", {.color = PNG_COLOR_TYPE_PALETTE});
  CHECK_THROWS_WITH(ImageReader(folder / "palette.png"), Contains("palette"));
  write_png(folder / "a.png", {});
  const std::string bytes = test::read_text(folder / "a.png");
  test::write_text(folder / "header.png", bytes.substr(0, 20));
  CHECK_THROWS_AS(ImageReader(folder / "header.png"), DataError);
  test::write_text(folder / "data.png", bytes.substr(0, bytes.size() / 2));
  CHECK_THROWS_WITH(ImageReader(folder / "data.png").read(0), Contains("data.png") && Contains("truncated"));
  std::string damaged = bytes;
  damaged[bytes.size() / 2] ^= 0x10;
  test::write_text(folder / "damaged.png", damaged);
  CHECK_THROWS_AS(ImageReader(folder / "damaged.png").read(0), DataError);
}

TEST_CASE("a text chunk that claims gigabytes costs no memory") {
  const TemporaryFolder folder;
  write_png(folder / "a.png", {});
  std::string bytes = test::read_text(folder / "a.png");
  bytes.insert(8 + 25, std::string("\x60\0\0\0tEXt", 8));  // after the header: 1.6 GB of text
  test::write_text(folder / "a.png", bytes);
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  CHECK_THROWS_WITH(ImageReader(folder / "a.png"), Contains("truncated"));
  getrusage(RUSAGE_SELF, &after);
  CHECK(after.ru_maxrss - before.ru_maxrss < 64 << 10);  // KiB
}

TEST_CASE("a PNG's pixel size") {
  const TemporaryFolder folder;
  write_png(folder / "a.png", {.pixels_per_metre = 2'000'000});
  CHECK(ImageReader(folder / "a.png").metadata().pixel_size.width_um == Approx(0.5));
  write_png(folder / "b.png", {.pixels_per_metre = 2835});  // 72 dpi
  CHECK_FALSE(ImageReader(folder / "b.png").metadata().pixel_size.known());
}

TEST_CASE("encode_png makes what read back gives") {
  const TemporaryFolder folder;
  for (int64_t channels = 1; channels <= 4; ++channels) {
    Grid<uint8_t> image(19, 31, channels);
    for (size_t i = 0; i < image.data.size(); ++i) image.data[i] = static_cast<uint8_t>(i * 7);
    write_file(folder / "a.png", encode_png(image));
    const Image got = ImageReader(folder / "a.png").read(0);
    REQUIRE(got.channels == channels);
    CHECK(std::equal(got.data.begin(), got.data.end(), image.data.begin(), image.data.end()));
  }
  CHECK_THROWS_AS(encode_png(Grid<uint8_t>(2, 2, 5)), ShapeError);
  CHECK_THROWS_AS(encode_png(Grid<uint8_t>(0, 2)), ShapeError);
}

}  // namespace unet
