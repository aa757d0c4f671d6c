// Files that are damaged or made to harm: every one is refused by name, quickly and without much memory.
#include <sys/resource.h>

#include <chrono>
#include <functional>
#include <random>

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/tiff_support.h"
#include "unet/image_reader.h"

namespace unet {
namespace {

using Catch::Contains;
using test::TemporaryFolder;
using test::TiffBytes;
using test::TiffSpec;
using test::write_tiff;

using Entries = std::vector<TiffBytes::Entry>;

/// A 4 x 4 gray image after `change` had its way with the directory's entries.
std::string changed_image(const std::function<void(Entries&)>& change) {
  TiffBytes file;
  Entries entries = TiffBytes::gray(4, 4, 8);
  change(entries);
  file.header(8 + 16);
  file.text(std::string(16, '\7'));
  file.directory(entries);
  return file.bytes();
}

void set(Entries& entries, uint16_t tag, uint32_t value) {
  for (TiffBytes::Entry& entry : entries) {
    if (entry.tag == tag) entry.value = value;
  }
}

/// What reading the whole file says; empty if it reads.
std::string complaint(const TemporaryFolder& folder, const std::string& bytes) {
  std::filesystem::remove(folder / "a.tif");  // ext4 flushes a file that is overwritten, which takes milliseconds
  test::write_text(folder / "a.tif", bytes);
  try {
    ImageReader reader(folder / "a.tif", {.max_read_bytes = 1 << 20, .allow_non_finite = true});
    for (int64_t page = 0; page < reader.pages(); ++page) reader.read(page);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

}  // namespace

TEST_CASE("what is no image is told apart from what is damaged") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(ImageReader(folder / "missing.tif"), IoError);
  CHECK_THROWS_AS(ImageReader(folder.path()), IoError);
  CHECK_THROWS_AS(ImageReader("/dev/zero"), IoError);
  CHECK_THAT(complaint(folder, ""), Contains("empty"));
  CHECK_THAT(complaint(folder, "GIF89a, a picture of another kind"), Contains("expected a TIFF or PNG"));
  CHECK_THAT(complaint(folder, "II"), Contains("expected a TIFF or PNG"));
  CHECK_THAT(complaint(folder, std::string("II*\0\0", 5)), Contains("header is truncated"));
  CHECK_THAT(complaint(folder, std::string("II*\0\0\0\0\0", 8)), Contains("no image"));
  CHECK(complaint(folder, changed_image([](Entries&) {})).empty());  // the base of the cases below
}

TEST_CASE("directory chains that loop") {
  const TemporaryFolder folder;
  const Entries entries = TiffBytes::gray(1, 1, 4);
  const uint32_t bytes = TiffBytes::directory_bytes(entries.size());
  for (const std::vector<uint32_t>& next : {std::vector<uint32_t>{8}, {8 + bytes, 8}, {8 + bytes, 8 + bytes}}) {
    TiffBytes file;
    file.header(8);
    for (const uint32_t offset : next) file.directory(entries, offset);
    CHECK_THAT(complaint(folder, file.bytes()), Contains("points back"));
  }
}

TEST_CASE("directories and values outside of the file") {
  const TemporaryFolder folder;
  TiffBytes nowhere;
  nowhere.header(1000);
  CHECK_THAT(complaint(folder, nowhere.bytes()), Contains("directory 0 lies outside the file"));
  const std::string whole = changed_image([](Entries&) {});
  CHECK_THAT(complaint(folder, whole.substr(0, whole.size() - 1)), Contains("directory 0 lies outside the file"));
  const auto with = [&](TiffBytes::Entry entry) {
    return complaint(folder, changed_image([&](Entries& entries) { entries.push_back(entry); }));
  };
  CHECK_THAT(with({65000, 1, 100, 100}), Contains("tag 65000 of directory 0 lies outside the file"));
  CHECK_THAT(with({65000, 12, 0xffffffff, 8}), Contains("tag 65000 of directory 0 is larger than the file"));
  CHECK_THAT(with({65000, 16, 0x20000001, 8}), Contains("larger"));  // 8 * count wraps in 32 bits
  CHECK(with({65000, 99, 0xffffffff, 8}).empty());                   // no such type: skipped
  CHECK_THAT(complaint(folder, changed_image([](Entries& entries) { entries.clear(); })), Contains("has 0 entries"));
  CHECK_THAT(complaint(folder, changed_image([](Entries& entries) {
                         entries.resize(4097, {65000, 1, 1, 0});
                       })),
             Contains("4097 entries"));
}

TEST_CASE("thousands of tags that share one large value cost no memory") {
  const TemporaryFolder folder;
  constexpr uint32_t kShared = 700'000, kTags = 4000;
  TiffBytes file;
  Entries entries = TiffBytes::gray(4, 4, 8);
  const auto shared = static_cast<uint32_t>(8 + TiffBytes::directory_bytes(entries.size() + kTags));
  for (uint32_t i = 0; i < kTags; ++i) entries.push_back({static_cast<uint16_t>(40000 + i), 1, kShared, shared});
  file.header(8);
  file.directory(entries);
  file.text(std::string(kShared, 'x'));
  const int64_t before = peak_memory_bytes();
  CHECK_THAT(complaint(folder, file.bytes()), Contains("overlap"));
  CHECK(peak_memory_bytes() - before < int64_t{64} << 20);  // libtiff alone takes 2.8 GB
}

TEST_CASE("endless chains of directories") {
  const TemporaryFolder folder;
  TiffBytes file;
  const Entries one{{TIFFTAG_IMAGEWIDTH, 3, 1, 1}};
  const uint32_t bytes = TiffBytes::directory_bytes(1);
  file.header(8);
  for (uint32_t i = 0; i < 65536; ++i) file.directory(one, 8 + (i + 1) * bytes);
  CHECK_THAT(complaint(folder, file.bytes()), Contains("more than 65535 directories"));
}

TEST_CASE("sizes that no small file can have") {
  const TemporaryFolder folder;
  const auto with = [&](std::vector<std::pair<uint16_t, uint32_t>> changes) {
    return complaint(folder, changed_image([&](Entries& entries) {
                       for (const auto& [tag, value] : changes) set(entries, tag, value);
                     }));
  };
  CHECK_THAT(with({{TIFFTAG_IMAGEWIDTH, 0}}), Contains("page 0"));
  CHECK_THAT(with({{TIFFTAG_IMAGEWIDTH, (1 << 20) + 1}}), Contains("expected sides of 1 .. 1048576"));
  CHECK_THAT(with({{TIFFTAG_IMAGEWIDTH, 0xffffffff}, {TIFFTAG_IMAGELENGTH, 0xffffffff}}), Contains("page 0"));
  CHECK_THAT(with({{TIFFTAG_IMAGEWIDTH, 1 << 20}, {TIFFTAG_IMAGELENGTH, 1 << 17}}), Contains("at most"));
  CHECK_THAT(with({{TIFFTAG_IMAGEWIDTH, 1 << 20}, {TIFFTAG_IMAGELENGTH, 1 << 16}}), Contains("the limit is"));
  CHECK_THAT(with({{TIFFTAG_SAMPLESPERPIXEL, 17}}), Contains("channels"));
  CHECK_THAT(with({{TIFFTAG_SAMPLESPERPIXEL, 0}}), Contains("channels") || Contains("SamplesPerPixel"));
  CHECK_THAT(with({{TIFFTAG_BITSPERSAMPLE, 24}}), Contains("uint24 samples are not supported"));
  CHECK_THAT(with({{TIFFTAG_ROWSPERSTRIP, 0}}), Contains(""));  // must not divide by it
  const std::string tiles = complaint(folder, changed_image([](Entries& entries) {
                                        entries.push_back({TIFFTAG_TILEWIDTH, 4, 1, 1 << 20});
                                        entries.push_back({TIFFTAG_TILELENGTH, 4, 1, 1 << 20});
                                      }));
  CHECK_THAT(tiles, Contains("not supported"));
}

TEST_CASE("what is not supported is named") {
  const TemporaryFolder folder;
  const auto with = [&](uint16_t tag, uint32_t value) {
    return complaint(folder, changed_image([&](Entries& entries) { set(entries, tag, value); }));
  };
  CHECK_THAT(with(TIFFTAG_COMPRESSION, COMPRESSION_JPEG), Contains("JPEG compression is not supported"));
  CHECK_THAT(with(TIFFTAG_COMPRESSION, COMPRESSION_CCITTFAX4), Contains("CCITT fax"));
  CHECK_THAT(with(TIFFTAG_COMPRESSION, COMPRESSION_WEBP), Contains("WebP"));
  CHECK_THAT(with(TIFFTAG_COMPRESSION, COMPRESSION_LERC), Contains("LERC"));
  CHECK_THAT(with(TIFFTAG_COMPRESSION, 12345), Contains("number 12345"));
  CHECK_THAT(with(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_CIELAB), Contains("L*a*b*"));
  CHECK_THAT(with(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_SEPARATED), Contains("CMYK"));
  CHECK_THAT(complaint(folder, changed_image([](Entries& entries) {
                         set(entries, TIFFTAG_BITSPERSAMPLE, 1);
                         set(entries, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_PALETTE);
                         entries.push_back({TIFFTAG_COLORMAP, 3, 6, 8});
                       })),
             Contains("palette images are not supported"));
}

TEST_CASE("truncated pixels are said, page and place") {
  const TemporaryFolder folder;
  for (const int compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_ZSTD}) {
    for (const int tile : {0, 16}) {
      CAPTURE(compression, tile);
      write_tiff(folder / "b.tif", {.pages = 2, .compression = compression, .tile_height = tile, .tile_width = tile});
      std::string bytes = test::read_text(folder / "b.tif");
      TiffBytes entry;  // the second page's offsets array comes after its pixels: move the last chunk to the file's end
      ImageReader whole(folder / "b.tif");
      CHECK(whole.read(1).pixels() == 37 * 45);
      TIFF* tiff = TIFFOpen((folder / "b.tif").c_str(), "r");
      TIFFSetDirectory(tiff, 1);
      const uint32_t last = (tile ? TIFFNumberOfTiles(tiff) : TIFFNumberOfStrips(tiff)) - 1;
      const uint64_t offset = TIFFGetStrileOffset(tiff, last);
      TIFFClose(tiff);
      TiffBytes from, to;
      from.number(offset, 4);
      to.number(bytes.size() - 2, 4);
      const size_t at = bytes.rfind(from.bytes());
      REQUIRE(at != std::string::npos);
      bytes.replace(at, 4, to.bytes());
      CHECK_THAT(complaint(folder, bytes), Contains("a.tif, page 1: ") && (Contains("truncated") || Contains("strip")));
    }
  }
}

TEST_CASE("missing strips are errors, not black") {
  const TemporaryFolder folder;
  const std::string short_strip = complaint(folder, changed_image([](Entries& entries) {
                                              set(entries, TIFFTAG_ROWSPERSTRIP, 2);
                                              entries[5] = {TIFFTAG_STRIPOFFSETS, 3, 2, 8 | 16 << 16};
                                              entries[8] = {TIFFTAG_STRIPBYTECOUNTS, 3, 2, 8 | 7 << 16};
                                            }));
  CHECK_THAT(short_strip, Contains("page 0: strip 1 holds 7 bytes, expected 8"));
  CHECK_THAT(complaint(folder, changed_image([](Entries& entries) { set(entries, TIFFTAG_STRIPOFFSETS, 0xfffffff0); })),
             Contains("page 0"));
  const std::string sparse = complaint(folder, changed_image([](Entries& entries) {
                                         set(entries, TIFFTAG_COMPRESSION, COMPRESSION_LZW);
                                         set(entries, TIFFTAG_STRIPOFFSETS, 0);
                                         set(entries, TIFFTAG_STRIPBYTECOUNTS, 0);
                                       }));
  CHECK_THAT(sparse, Contains("page 0: strip 0"));
}

TEST_CASE("thousands of mutated files never crash, hang or take memory") {
  const TemporaryFolder folder;
  std::vector<std::string> seeds;
  const std::vector<TiffSpec> specs = {
      {.pages = 2, .rows_per_strip = 3},
      {.bits = 16, .compression = COMPRESSION_LZW, .predictor = PREDICTOR_HORIZONTAL},
      {.channels = 3, .compression = COMPRESSION_ADOBE_DEFLATE, .tile_height = 16, .tile_width = 16, .mode = "wb"},
      {.channels = 2,
       .bits = 32,
       .format = SAMPLEFORMAT_IEEEFP,
       .compression = COMPRESSION_ZSTD,
       .predictor = PREDICTOR_FLOATINGPOINT,
       .planar = true,
       .mode = "w8"},
      {.pages = 3,
       .bits = 1,
       .compression = COMPRESSION_PACKBITS,
       .description = "ImageJ=1.53t\nimages=3\nchannels=3\nunit=micron\n"}};
  for (TiffSpec spec : specs) {
    spec.height = 18;
    spec.width = 21;
    write_tiff(folder / "seed.tif", spec);
    seeds.push_back(test::read_text(folder / "seed.tif"));
    REQUIRE(complaint(folder, seeds.back()).empty());
  }
  std::mt19937 random(7);
  const auto below = [&](size_t n) { return random() % n; };
  const std::vector<uint8_t> edges = {0, 1, 2, 0x7f, 0x80, 0xff};
  const int64_t before = peak_memory_bytes();
  double slowest_s = 0;
  int refused = 0;
  constexpr int kTrials = 6000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::string bytes = seeds[below(seeds.size())];
    if (trial % 8 == 0) bytes.resize(below(bytes.size()));
    for (size_t change = 0; change < 1 + below(3) && !bytes.empty(); ++change) {
      // Half of the changes go to the header and the directories at the end, where few bytes decide much.
      const size_t at = below(2) ? below(bytes.size()) : bytes.size() - 1 - below(std::min<size_t>(bytes.size(), 300));
      bytes[at] = static_cast<char>(below(2) ? edges[below(edges.size())] : random());
    }
    const auto begin = std::chrono::steady_clock::now();
    if (!complaint(folder, bytes).empty()) ++refused;  // anything but an Error fails the test
    slowest_s = std::max(slowest_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  CHECK(refused > kTrials / 10);
  CHECK(refused < kTrials * 9 / 10);
  CHECK(slowest_s < 1);
  CHECK(peak_memory_bytes() - before < int64_t{256} << 20);
}

}  // namespace unet
