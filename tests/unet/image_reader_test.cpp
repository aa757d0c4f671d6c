#include "unet/image_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <limits>
#include <random>

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/tiff_support.h"

namespace unet {
namespace {

using test::TemporaryFolder;
using test::TiffBytes;
using test::TiffSpec;
using test::write_tiff;

struct Type {
  int bits, format;
};
const Type kTypes[] = {{1, SAMPLEFORMAT_UINT},    {2, SAMPLEFORMAT_UINT},    {4, SAMPLEFORMAT_UINT},
                       {8, SAMPLEFORMAT_UINT},    {12, SAMPLEFORMAT_UINT},   {16, SAMPLEFORMAT_UINT},
                       {32, SAMPLEFORMAT_UINT},   {64, SAMPLEFORMAT_UINT},   {8, SAMPLEFORMAT_INT},
                       {16, SAMPLEFORMAT_INT},    {32, SAMPLEFORMAT_INT},    {64, SAMPLEFORMAT_INT},
                       {16, SAMPLEFORMAT_IEEEFP}, {32, SAMPLEFORMAT_IEEEFP}, {64, SAMPLEFORMAT_IEEEFP}};
const int kCompressions[] = {COMPRESSION_NONE,    COMPRESSION_LZW,      COMPRESSION_ADOBE_DEFLATE,
                             COMPRESSION_DEFLATE, COMPRESSION_PACKBITS, COMPRESSION_ZSTD};

Image crop(const Image& image, const Window& window) {
  Image out(window.rows, window.columns, image.channels);
  for (int64_t y = 0; y < window.rows; ++y) {
    for (int64_t x = 0; x < window.columns; ++x) {
      for (int64_t c = 0; c < image.channels; ++c) out.at(y, x, c) = image.at(window.top + y, window.left + x, c);
    }
  }
  return out;
}

void check_equal(const Image& got, const Image& expected) {
  CHECK(got.shape_text() == expected.shape_text());
  CHECK(got.data == expected.data);
}

/// 2 x 3 pixels 1 .. 6, uncompressed uint8.
std::string small_image(uint16_t orientation) {
  TiffBytes file;
  auto entries = TiffBytes::gray(3, 2, 8 + TiffBytes::directory_bytes(10));
  entries.insert(entries.begin() + 6, {TIFFTAG_ORIENTATION, 3, 1, orientation});
  file.header(8);
  file.directory(entries);
  file.text("\1\2\3\4\5\6");
  return file.bytes();
}

}  // namespace

TEST_CASE("every sample type, layout and compression reads back exactly") {
  const TemporaryFolder folder;
  int files = 0;
  for (const Type type : kTypes) {
    for (const int compression : kCompressions) {
      for (const bool tiled : {false, true}) {
        for (const bool planar : {false, true}) {
          TiffSpec spec;
          spec.bits = type.bits;
          spec.format = type.format;
          spec.compression = compression;
          spec.channels = 3;
          spec.planar = planar;
          spec.tile_height = tiled ? 16 : 0;
          spec.tile_width = tiled ? 32 : 0;
          spec.mode = files % 2 ? "wb" : "wl";  // both byte orders
          CAPTURE(type.bits, type.format, compression, tiled, planar, spec.mode);
          write_tiff(folder / "a.tif", spec);
          ImageReader reader(folder / "a.tif");
          check_equal(reader.read(0), expected_page(spec));
          ++files;
        }
      }
    }
  }
  CHECK(files == 15 * 6 * 2 * 2);
}

TEST_CASE("predictors are undone") {
  const TemporaryFolder folder;
  for (const int compression : {COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_ZSTD}) {
    for (const Type type : kTypes) {
      if (type.bits < 8 || type.bits == 12) continue;  // libtiff has predictors for whole bytes only
      TiffSpec spec;
      spec.bits = type.bits;
      spec.format = type.format;
      spec.compression = compression;
      spec.predictor = type.format == SAMPLEFORMAT_IEEEFP ? PREDICTOR_FLOATINGPOINT : PREDICTOR_HORIZONTAL;
      CAPTURE(type.bits, type.format, compression);
      write_tiff(folder / "a.tif", spec);
      ImageReader reader(folder / "a.tif");
      check_equal(reader.read(0), expected_page(spec));
    }
  }
}

TEST_CASE("windows are crops of the page, whatever the cache holds") {
  const TemporaryFolder folder;
  std::mt19937 random(1);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (const int64_t cache_bytes : {int64_t{0}, int64_t{2000}, int64_t{64} << 20}) {
    for (int layout = 0; layout < 5; ++layout) {
      TiffSpec spec;
      spec.pages = 2;
      spec.channels = 2;
      spec.planar = layout == 4;
      spec.bits = layout == 3 ? 1 : 16;
      spec.compression = layout % 2 ? COMPRESSION_LZW : COMPRESSION_NONE;
      spec.tile_height = layout >= 2 ? 16 : 0;
      spec.tile_width = 16;
      write_tiff(folder / "a.tif", spec);
      ImageReader reader(folder / "a.tif", {.cache_bytes = cache_bytes});
      REQUIRE(reader.pages() == 2);
      for (int trial = 0; trial < 40; ++trial) {
        Window window{below(spec.height), below(spec.width), 1, 1};
        window.rows = 1 + below(spec.height - static_cast<int>(window.top));
        window.columns = 1 + below(spec.width - static_cast<int>(window.left));
        CAPTURE(cache_bytes, layout, window.top, window.left, window.rows, window.columns);
        check_equal(reader.read(trial % 2, window), crop(expected_page(spec, trial % 2), window));
      }
    }
  }
}

TEST_CASE("a compressed strip of many megabytes is read in bands, up and down") {
  const TemporaryFolder folder;
  TiffSpec spec;
  spec.height = spec.rows_per_strip = 4200;
  spec.width = 4100;
  spec.compression = COMPRESSION_LZW;
  write_tiff(folder / "a.tif", spec);
  ImageReader reader(folder / "a.tif", {.cache_bytes = 0});
  const Image page = expected_page(spec);
  for (const Window window : {Window{4000, 4000, 200, 100}, Window{3900, 0, 30, 50}, Window{0, 10, 5, 5}}) {
    check_equal(reader.read(0, window), crop(page, window));
  }
}

TEST_CASE("windows outside the page and pages that do not exist are refused") {
  const TemporaryFolder folder;
  write_tiff(folder / "a.tif", {.height = 10, .width = 20});
  ImageReader reader(folder / "a.tif");
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  for (const Window window : {Window{0, 0, 11, 1}, Window{0, 0, 1, 21}, Window{-1, 0, 2, 2}, Window{0, -1, 2, 2},
                              Window{9, 0, 2, 1}, Window{0, 0, 0, 1}, Window{1, 0, kHuge, 1}, Window{kHuge, 0, 1, 1}}) {
    CHECK_THROWS_AS(reader.read(0, window), ShapeError);
  }
  CHECK_THROWS_AS(reader.read(1), ShapeError);
  CHECK_THROWS_AS(reader.info(-1), ShapeError);
  CHECK_THROWS_AS(ImageReader(folder / "a.tif", {.max_read_bytes = 799}).read(0), OutOfMemory);
  CHECK(ImageReader(folder / "a.tif", {.max_read_bytes = 800}).read(0).pixels() == 200);
}

TEST_CASE("white-is-zero images are inverted") {
  const TemporaryFolder folder;
  for (const int bits : {1, 4, 8, 16, 32}) {
    TiffSpec spec;
    spec.bits = bits;
    spec.photometric = PHOTOMETRIC_MINISWHITE;
    write_tiff(folder / "a.tif", spec);
    ImageReader reader(folder / "a.tif");
    Image expected = expected_page(spec);
    const double maximum = std::exp2(bits) - 1;
    for (float& value : expected.data) value = static_cast<float>(maximum - static_cast<double>(value));
    check_equal(reader.read(0), expected);
    CHECK_THAT(reader.info(0).encoding, Catch::Contains("inverted"));
  }
  write_tiff(folder / "a.tif", {.bits = 32, .format = SAMPLEFORMAT_IEEEFP, .photometric = PHOTOMETRIC_MINISWHITE});
  CHECK_THROWS_AS(ImageReader(folder / "a.tif"), DataError);
}

TEST_CASE("all eight orientations are applied, to windows too") {
  const TemporaryFolder folder;
  const std::vector<std::vector<float>> expected = {{1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1},
                                                    {4, 5, 6, 1, 2, 3}, {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3},
                                                    {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  for (uint16_t orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    test::write_text(folder / "a.tif", small_image(orientation));
    ImageReader reader(folder / "a.tif");
    Image page(orientation < 5 ? 2 : 3, orientation < 5 ? 3 : 2);
    page.data = expected[orientation - 1U];
    CHECK(reader.info(0).height == page.height);
    check_equal(reader.read(0), page);
    for (int64_t y = 0; y < page.height; ++y) {
      for (int64_t x = 0; x < page.width; ++x) check_equal(reader.read(0, {y, x, 1, 1}), crop(page, {y, x, 1, 1}));
    }
  }
}

TEST_CASE("reversed bit order within bytes") {
  const TemporaryFolder folder;
  for (const int compression : {COMPRESSION_NONE, COMPRESSION_PACKBITS}) {
    TiffSpec spec;
    spec.bits = 1;
    spec.compression = compression;
    spec.fill_order = FILLORDER_LSB2MSB;
    write_tiff(folder / "a.tif", spec);
    check_equal(ImageReader(folder / "a.tif").read(0), expected_page(spec));
  }
}

TEST_CASE("BigTIFF in both byte orders") {
  const TemporaryFolder folder;
  for (const char* mode : {"w8l", "w8b"}) {
    TiffSpec spec;
    spec.pages = 3;
    spec.bits = 16;
    spec.mode = mode;
    write_tiff(folder / "a.tif", spec);
    ImageReader reader(folder / "a.tif");
    REQUIRE(reader.pages() == 3);
    for (int page = 2; page >= 0; --page) check_equal(reader.read(page), expected_page(spec, page));
  }
}

TEST_CASE("an ImageJ stack beyond 4 GB has one directory and all its pages") {
  const TemporaryFolder folder;
  const std::string description = "ImageJ=1.53t\nimages=70\nslices=70\n";
  constexpr uint64_t kSide = 8192, kPage = kSide * kSide;
  const uint32_t text_offset = 8 + TiffBytes::directory_bytes(10);
  const auto data_offset = static_cast<uint32_t>(text_offset + description.size() + 1);
  auto entries = TiffBytes::gray(kSide, kSide, data_offset);
  entries.insert(entries.begin() + 5,
                 {TIFFTAG_IMAGEDESCRIPTION, 2, static_cast<uint32_t>(description.size() + 1), text_offset});
  TiffBytes file;
  file.header(8);
  file.directory(entries);
  file.text(description);
  file.number(0, 1);
  test::write_text(folder / "a.tif", file.bytes());
  std::filesystem::resize_file(folder / "a.tif", data_offset + 70 * kPage);  // sparse: takes no room
  {
    std::fstream pixels(folder / "a.tif", std::ios::binary | std::ios::in | std::ios::out);
    pixels.seekp(static_cast<std::streamoff>(data_offset + 69 * kPage + 5000 * kSide + 17));
    pixels.put('\x2a');
  }
  ImageReader reader(folder / "a.tif");
  REQUIRE(reader.pages() == 70);
  CHECK(reader.read(69, {5000, 17, 1, 2}).data == std::vector<float>{42, 0});
  CHECK(reader.read(68, {5000, 17, 1, 2}).data == std::vector<float>{0, 0});

  std::filesystem::resize_file(folder / "a.tif", data_offset + 69 * kPage);
  CHECK_THROWS_WITH(ImageReader(folder / "a.tif"), Catch::Contains("truncated"));
}

TEST_CASE("one plane saved with a whole stack's description is one page") {
  const TemporaryFolder folder;
  write_tiff(folder / "a.tif", {.description = "ImageJ=1.53t\nimages=30\nslices=30\n"});
  ImageReader reader(folder / "a.tif");
  CHECK(reader.pages() == 1);
  CHECK(reader.metadata().axes.slices == 1);
  REQUIRE(reader.notes().size() == 1);
  CHECK_THAT(reader.notes()[0], Catch::Contains("30"));
}

TEST_CASE("channels that are pages of their own are gathered, in ImageJ's order and in OME's") {
  const TemporaryFolder folder;
  TiffSpec spec;
  spec.pages = 6;
  const auto check_page = [&](ImageReader& reader, int64_t page, int first, int second) {
    const Image got = reader.read(page);
    REQUIRE(got.channels == 2);
    const Image a = expected_page(spec, first), b = expected_page(spec, second);
    for (int64_t i = 0; i < a.pixels(); ++i) {
      const auto at = static_cast<size_t>(i);
      if (got.data[2 * at] != a.data[at] || got.data[2 * at + 1] != b.data[at])
        FAIL("pixel " << i << " of page " << page);
    }
  };
  spec.description = "ImageJ=1.53t\nimages=6\nchannels=2\nslices=3\nhyperstack=true\n";
  write_tiff(folder / "imagej.tif", spec);
  ImageReader imagej(folder / "imagej.tif");
  REQUIRE(imagej.pages() == 3);
  for (int page = 0; page < 3; ++page) check_page(imagej, page, 2 * page, 2 * page + 1);

  spec.description =
      R"(<?xml version="1.0"?><OME><Image><Pixels DimensionOrder="XYZCT" SizeC="2" SizeT="1" SizeZ="3"/>)";
  write_tiff(folder / "ome.tif", spec);
  ImageReader ome(folder / "ome.tif");
  REQUIRE(ome.pages() == 3);
  for (int page = 0; page < 3; ++page) check_page(ome, page, page, page + 3);

  spec.description = "ImageJ=1.53t\nimages=8\nchannels=2\nslices=4\n";  // contradicts the six directories
  write_tiff(folder / "wrong.tif", spec);
  ImageReader wrong(folder / "wrong.tif");
  CHECK(wrong.pages() == 6);
  CHECK(wrong.info(0).channels == 1);
}

TEST_CASE("thumbnails are no pages") {
  const TemporaryFolder folder;
  TiffBytes file;
  auto thumbnail = TiffBytes::gray(1, 1, 8), page = TiffBytes::gray(2, 1, 8);
  thumbnail.insert(thumbnail.begin(), {TIFFTAG_SUBFILETYPE, 4, 1, FILETYPE_REDUCEDIMAGE});
  file.header(8);
  file.directory(thumbnail, 8 + TiffBytes::directory_bytes(10));
  file.directory(page);
  test::write_text(folder / "a.tif", file.bytes());
  ImageReader reader(folder / "a.tif");
  REQUIRE(reader.pages() == 1);
  CHECK(reader.info(0).width == 2);
  test::write_text(folder / "a.tif",
                   file.bytes().substr(0, 8 + TiffBytes::directory_bytes(10) - 4) + std::string(4, '\0'));
  CHECK_THROWS_WITH(ImageReader(folder / "a.tif"), Catch::Contains("thumbnails"));
}

TEST_CASE("labels are exact 32-bit integers") {
  const TemporaryFolder folder;
  for (const Type type : {Type{8, SAMPLEFORMAT_UINT}, Type{16, SAMPLEFORMAT_UINT}, Type{32, SAMPLEFORMAT_INT}}) {
    TiffSpec spec;
    spec.bits = type.bits;
    spec.format = type.format;
    write_tiff(folder / "a.tif", spec);
    const LabelMap labels = ImageReader(folder / "a.tif").read_labels(0);
    const Image expected = expected_page(spec);
    CHECK(std::equal(labels.data.begin(), labels.data.end(), expected.data.begin(), expected.data.end()));
  }
  write_tiff(folder / "halves.tif", {.bits = 32, .format = SAMPLEFORMAT_IEEEFP});
  CHECK_THROWS_WITH(ImageReader(folder / "halves.tif").read_labels(0),
                    Catch::Contains("halves.tif, page 0: expected labels that are integers"));
}

TEST_CASE("NaN and infinity are counted and refused unless allowed") {
  const TemporaryFolder folder;
  TiffBytes file;
  auto entries = TiffBytes::gray(3, 2, 8 + TiffBytes::directory_bytes(10));
  entries[2].value = 32;
  entries[8].value = 24;
  entries.push_back({TIFFTAG_SAMPLEFORMAT, 3, 1, SAMPLEFORMAT_IEEEFP});
  file.header(8);
  file.directory(entries);
  for (const uint32_t bits : {0U, 0x3f800000U, 0U, 0U, 0x7fc00000U, 0xff800000U}) file.number(bits, 4);
  test::write_text(folder / "a.tif", file.bytes());
  CHECK_THROWS_WITH(ImageReader(folder / "a.tif").read(0),
                    Catch::Contains("2 values are NaN or infinite, the first at row 1, column 1"));
  CHECK_THROWS_WITH(ImageReader(folder / "a.tif").read(0, {1, 2, 1, 1}),
                    Catch::Contains("1 values") && Catch::Contains("row 1, column 2"));
  CHECK(ImageReader(folder / "a.tif").read(0, {0, 0, 1, 3}).at(0, 1) == 1);
  CHECK(std::isnan(ImageReader(folder / "a.tif", {.allow_non_finite = true}).read(0).at(1, 1)));
}

}  // namespace unet
