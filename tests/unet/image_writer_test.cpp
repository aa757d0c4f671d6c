#include "unet/image_writer.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <limits>

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/tiff_support.h"
#include "unet/image_reader.h"
#include "unet/output_file.h"

namespace unet {
namespace {

using Catch::Contains;
using test::TemporaryFolder;

double value_at(int64_t page, int64_t y, int64_t x, int64_t c) {
  return static_cast<double>((page * 37 + y * 5 + x * 3 + c * 11 + x * y) % 251);
}

Image rows_of_page(const WriterOptions& options, int64_t page, int64_t top, int64_t rows) {
  Image band(rows, options.width, options.channels);
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t x = 0; x < options.width; ++x) {
      for (int64_t c = 0; c < options.channels; ++c)
        band.at(y, x, c) = static_cast<float>(value_at(page, top + y, x, c));
    }
  }
  return band;
}

/// Pages in bands of `band_rows`.
void write_pages(const std::filesystem::path& path, const WriterOptions& options, int64_t band_rows) {
  ImageWriter writer(path, options);
  for (int64_t page = 0; page < options.pages; ++page) {
    for (int64_t top = 0; top < options.height; top += band_rows) {
      writer.write_rows(rows_of_page(options, page, top, std::min(band_rows, options.height - top)));
    }
  }
  writer.commit();
}

double sample(const std::vector<uint8_t>& bytes, size_t index, SampleType type) {
  const auto get = [&](auto word) {
    std::memcpy(&word, &bytes[index * sizeof word], sizeof word);
    return static_cast<double>(word);
  };
  if (type == kUint8) return get(uint8_t{});
  if (type == kUint16) return get(uint16_t{});
  return type == kUint32 ? get(uint32_t{}) : get(float{});
}

/// Reads with libtiff alone and counts the values that are not value_at().
int64_t wrong_values(const std::filesystem::path& path, const WriterOptions& options) {
  TIFF* tiff = TIFFOpen(path.c_str(), "r");
  REQUIRE(tiff != nullptr);
  int64_t wrong = 0, page = 0;
  const auto channels = static_cast<size_t>(options.channels);
  do {
    std::vector<uint8_t> tile(options.tile_px > 0 ? static_cast<size_t>(TIFFTileSize(tiff)) : 0);
    std::vector<uint8_t> line(options.tile_px > 0 ? 0 : static_cast<size_t>(TIFFScanlineSize(tiff)));
    for (uint32_t y = 0; y < options.height; ++y) {
      if (options.tile_px == 0) REQUIRE(TIFFReadScanline(tiff, line.data(), y) == 1);
      for (uint32_t x = 0; x < options.width; ++x) {
        const auto side = static_cast<uint32_t>(options.tile_px);
        if (side > 0 && x % side == 0) REQUIRE(TIFFReadTile(tiff, tile.data(), x, y, 0, 0) > 0);
        for (size_t c = 0; c < channels; ++c) {
          const size_t pixel = side > 0 ? size_t{y % side} * side + x % side : x;
          const double got = sample(side > 0 ? tile : line, pixel * channels + c, options.type);
          if (got != value_at(page, y, x, static_cast<int64_t>(c))) ++wrong;
        }
      }
    }
    ++page;
  } while (TIFFReadDirectory(tiff));
  TIFFClose(tiff);
  CHECK(page == options.pages);
  return wrong;
}

}  // namespace

TEST_CASE("every type, compression and layout is what libtiff reads") {
  const TemporaryFolder folder;
  for (const SampleType type : {kUint8, kUint16, kUint32, kFloat32}) {
    for (const Compression compression :
         {Compression::none, Compression::lzw, Compression::deflate, Compression::zstd}) {
      for (const int64_t tile_px : {0, 16}) {
        for (const int64_t channels : {1, 2, 3}) {
          const WriterOptions options{.pages = 2,
                                      .height = 37,
                                      .width = 29,
                                      .channels = channels,
                                      .type = type,
                                      .compression = compression,
                                      .tile_px = tile_px,
                                      .metadata = {}};
          CAPTURE(type.name(), static_cast<int>(compression), tile_px, channels);
          write_pages(folder / "a.tif", options, 10);
          CHECK(wrong_values(folder / "a.tif", options) == 0);
          CHECK(folder.names() == std::set<std::string>{"a.tif"});
        }
      }
    }
  }
}

TEST_CASE("bands of any height make the same file") {
  const TemporaryFolder folder;
  const WriterOptions options{
      .pages = 3, .height = 700, .width = 400, .type = kUint16, .metadata = {}};  // three strips
  write_pages(folder / "whole.tif", options, 700);
  for (const int64_t band_rows : {1, 7, 327, 328, 699}) {
    write_pages(folder / "bands.tif", options, band_rows);
    CHECK(test::read_text(folder / "bands.tif") == test::read_text(folder / "whole.tif"));
  }
  CHECK(wrong_values(folder / "whole.tif", options) == 0);
}

TEST_CASE("ImageJ undoes the predictor of LZW only, so Deflate goes without one") {
  const TemporaryFolder folder;
  for (const SampleType type : {kUint8, kUint16, kUint32, kFloat32}) {
    write_pages(folder / "a.tif", {.height = 30, .width = 40, .type = type, .metadata = {}}, 30);
    TIFF* tiff = TIFFOpen((folder / "a.tif").c_str(), "r");
    REQUIRE(tiff != nullptr);
    uint16_t compression = 0, predictor = 0;
    CHECK(TIFFGetField(tiff, TIFFTAG_COMPRESSION, &compression) == 1);
    CHECK(TIFFGetFieldDefaulted(tiff, TIFFTAG_PREDICTOR, &predictor) == 1);
    TIFFClose(tiff);
    CHECK(compression == COMPRESSION_ADOBE_DEFLATE);
    CHECK(predictor == PREDICTOR_NONE);
  }
}

TEST_CASE("floats become the nearest integers and what does not fit is refused") {
  const TemporaryFolder folder;
  Image image(1, 4);
  image.data = {0.4F, 0.6F, 254.6F, -0.4F};
  write_image(folder / "a.tif", image, kUint8);
  CHECK(ImageReader(folder / "a.tif").read(0).data == std::vector<float>{0, 1, 255, 0});
  for (const float bad :
       {256.0F, -1.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    image.data[2] = bad;
    CHECK_THROWS_WITH(write_image(folder / "b.tif", image, kUint8), Contains("row 0, column 2") && Contains("uint8"));
  }
  LabelMap labels(1, 2);
  labels.data = {0, 65536};
  CHECK_THROWS_AS(write_labels(folder / "b.tif", labels, kUint16), DataError);
  write_labels(folder / "c.tif", labels, kUint32);
  CHECK(ImageReader(folder / "c.tif").read_labels(0).data == labels.data);
  CHECK(folder.names() == std::set<std::string>{"a.tif", "c.tif"});
}

TEST_CASE("nothing shows before commit, and the old file stays") {
  const TemporaryFolder folder;
  const WriterOptions options{.height = 8, .width = 8, .metadata = {}};
  test::write_text(folder / "old.tif", "old");
  for (const char* name : {"old.tif", "new.tif"}) {
    ImageWriter writer(folder / name, options);
    writer.write_rows(rows_of_page(options, 0, 0, 8));
    CHECK(test::read_text(folder / "old.tif") == "old");
    CHECK_FALSE(std::filesystem::exists(folder / "new.tif"));
  }
  CHECK(folder.names() == std::set<std::string>{"old.tif"});
  CHECK(test::read_text(folder / "old.tif") == "old");
  write_pages(folder / "old.tif", options, 8);
  CHECK(wrong_values(folder / "old.tif", options) == 0);
}

TEST_CASE("a killed writer leaves no file under the final name") {
  const TemporaryFolder folder;
  const WriterOptions options{.height = 2000, .width = 500, .metadata = {}};
  const pid_t child = fork();
  if (child == 0) {
    ImageWriter writer(folder / "a.tif", options);
    writer.write_rows(rows_of_page(options, 0, 0, 1500));
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(folder.names().size() == 1);  // the temporary file
  CHECK_FALSE(std::filesystem::exists(folder / "a.tif"));
}

TEST_CASE("a full disk is an IoError and leaves nothing") {
  const TemporaryFolder folder;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t limit : {rlim_t{0}, rlim_t{8}, rlim_t{1000}, rlim_t{300'000}, rlim_t{1'000'000}}) {
    const WriterOptions options{.height = 600, .width = 500, .compression = Compression::none, .metadata = {}};
    const rlimit tight{limit, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &tight) == 0);
    CHECK_THROWS_AS(write_pages(folder / "a.tif", options, 100), IoError);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(folder.names().empty());
  }
  std::signal(SIGXFSZ, old_handler);
}

TEST_CASE("rows and pages must add up") {
  const TemporaryFolder folder;
  const WriterOptions options{.pages = 2, .height = 4, .width = 8, .metadata = {}};
  ImageWriter writer(folder / "a.tif", options);
  CHECK_THROWS_AS(writer.write_rows(Image(5, 8)), ShapeError);
  CHECK_THROWS_AS(writer.write_rows(Image(1, 7)), ShapeError);
  CHECK_THROWS_AS(writer.write_rows(Image(1, 8, 2)), ShapeError);
  writer.write_rows(Image(4, 8));
  CHECK_THROWS_WITH(writer.commit(), Contains("2 pages, got 1"));
  writer.write_rows(Image(3, 8));
  CHECK_THROWS_AS(writer.write_rows(Image(2, 8)), ShapeError);
  writer.write_rows(Image(1, 8));
  CHECK_THROWS_AS(writer.write_rows(Image(1, 8)), ShapeError);
  writer.commit();
  CHECK(ImageReader(folder / "a.tif").pages() == 2);
}

TEST_CASE("BigTIFF from 3.5 GB on") {
  const TemporaryFolder folder;
  const auto version = [&](int64_t width) {
    const ImageWriter writer(folder / "a.tif", {.height = 50000, .width = width, .type = kUint8, .metadata = {}});
    return test::read_text(folder / *folder.names().begin()).at(2);
  };
  CHECK(version(70000) == 42);
  CHECK(version(70001) == 43);
}

TEST_CASE("options that cannot be are refused before a file is made") {
  const TemporaryFolder folder;
  for (const WriterOptions& options :
       {WriterOptions{}, WriterOptions{.height = 1, .width = 0, .metadata = {}},
        WriterOptions{.pages = 0, .height = 1, .width = 1, .metadata = {}},
        WriterOptions{.height = 1, .width = 1, .channels = 17, .metadata = {}},
        WriterOptions{.height = 1, .width = 1, .type = {SampleKind::signed_integer, 16}, .metadata = {}},
        WriterOptions{.height = 1, .width = 1, .tile_px = 20, .metadata = {}},
        WriterOptions{.height = int64_t{1} << 20, .width = int64_t{1} << 17, .metadata = {}}}) {
    CHECK_THROWS_AS(ImageWriter(folder / "a.tif", options), ConfigError);
  }
  CHECK(folder.names().empty());
  const WriterOptions good{.height = 1, .width = 1, .metadata = {}};
  CHECK_THROWS_AS(ImageWriter(folder / "missing" / "a.tif", good), IoError);
  CHECK_THROWS_AS(ImageWriter(folder.path(), good), IoError);
}

TEST_CASE("pixel size and axes are carried over") {
  const TemporaryFolder folder;
  ImageMetadata metadata;
  metadata.pixel_size = {0.19, 0.25, 1.5};
  metadata.frame_interval_s = 0.1;
  metadata.axes = {3, 2, 2, "CZT"};  // the output has one channel
  const WriterOptions options{.pages = 4, .height = 8, .width = 8, .metadata = metadata};
  write_pages(folder / "a.tif", options, 8);
  const ImageReader reader(folder / "a.tif");
  const ImageMetadata got = reader.metadata();
  CHECK(got.pixel_size.width_um == Approx(0.19).epsilon(1e-6));
  CHECK(got.pixel_size.height_um == Approx(0.25).epsilon(1e-6));
  CHECK(got.pixel_size.depth_um == Approx(1.5));
  CHECK(got.frame_interval_s == Approx(0.1));
  CHECK(got.axes.channels == 1);
  CHECK(got.axes.slices == 2);
  CHECK(got.axes.frames == 2);
}

TEST_CASE("a whole text file appears or nothing") {
  const TemporaryFolder folder;
  write_file(folder / "a.txt", "one\n");
  write_file(folder / "a.txt", "two\n");
  CHECK(test::read_text(folder / "a.txt") == "two\n");
  CHECK(folder.names() == std::set<std::string>{"a.txt"});
  CHECK_THROWS_AS(write_file(folder / "missing" / "a.txt", "x"), IoError);
}

}  // namespace unet
