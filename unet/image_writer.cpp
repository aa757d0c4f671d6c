#include "unet/image_writer.h"

#include <algorithm>
#include <cstring>

#include "engine/atomic_file.h"
#include "unet/image_source.h"
#include "unet/tiff_handle.h"

namespace unet {
namespace {

constexpr int64_t kStripBytes = int64_t{256} << 10;
constexpr int64_t kClassicLimitBytes = 3'500'000'000;  // offsets of classic TIFF end at 4,294,967,295

uint16_t compression_tag(Compression compression) {
  switch (compression) {
    case Compression::lzw:
      return COMPRESSION_LZW;
    case Compression::deflate:
      return COMPRESSION_ADOBE_DEFLATE;
    case Compression::zstd:
      return COMPRESSION_ZSTD;
    case Compression::none:
      break;
  }
  return COMPRESSION_NONE;
}

void validate(const WriterOptions& options) {
  const auto require = [](bool holds, const auto&... parts) {
    if (!holds) throw ConfigError(concat("write image: ", parts...));
  };
  require(options.pages >= 1 && options.pages <= 65535, "expected 1 .. 65535 pages, got ", options.pages);
  require(options.height >= 1 && options.width >= 1 && options.height <= kMaxSidePx && options.width <= kMaxSidePx &&
              options.height * options.width <= kMaxPixels,
          "expected sides of 1 .. ", kMaxSidePx, " and at most ", kMaxPixels, " pixels, got ", options.height, " x ",
          options.width);
  require(options.channels >= 1 && options.channels <= kMaxChannels, "expected 1 .. ", kMaxChannels, " channels, got ",
          options.channels);
  require(options.type == kUint8 || options.type == kUint16 || options.type == kUint32 || options.type == kFloat32,
          "expected uint8, uint16, uint32 or float32 samples, got ", options.type.name());
  require(options.tile_px >= 0 && options.tile_px <= 1024 && options.tile_px % 16 == 0,
          "expected tiles of 16, 32, .. 1024 pixels, got ", options.tile_px);
  require(TIFFIsCODECConfigured(compression_tag(options.compression)) == 1,
          "this libtiff lacks the compression asked for");
}

int64_t total_bytes(const WriterOptions& options) {
  return options.pages * options.height * options.width * options.channels * options.type.bits / 8;
}

}  // namespace

struct ImageWriter::State {
  State(const std::filesystem::path& path, const WriterOptions& writer_options)
      : options(writer_options),
        row_bytes(options.width * options.channels * options.type.bits / 8),
        buffer_rows(options.tile_px > 0 ? options.tile_px
                                        : std::clamp<int64_t>(kStripBytes / row_bytes, 1, options.height)),
        file(path),
        tiff(file,
             total_bytes(options) > kClassicLimitBytes ? TiffHandle::Mode::write_big : TiffHandle::Mode::write_classic),
        buffer(static_cast<size_t>(buffer_rows * row_bytes)) {}

  template <class T>
  void write_rows(const Grid<T>& band);
  void begin_page();
  void flush();
  void flush_strip();
  void flush_tiles();
  void write_chunk(uint32_t index, const std::vector<std::byte>& chunk, int64_t bytes);
  void read_back();
  void commit();

  template <class T>
  void set(uint32_t tag, T value) {
    if (!TIFFSetField(tiff.get(), tag, value)) fail();
  }
  [[noreturn]] void fail() const {
    tiff.rethrow_io_error();
    throw IoError(concat("write ", file.path().string(), ": ", tiff.last_error("failed")));
  }

  WriterOptions options;
  int64_t row_bytes, buffer_rows;
  engine::AtomicFile file;  // outlives `tiff`, which writes to it
  TiffHandle tiff;
  std::vector<std::byte> buffer;  // [buffer_rows, row_bytes]: one strip, or one row of tiles
  int64_t page = 0, row = 0;      // where the next row goes
  uint32_t last_chunk = 0;        // index and content of the strip or tile written last
  std::vector<std::byte> last_bytes;
};

void ImageWriter::State::begin_page() {
  const bool floating = options.type == kFloat32;
  set<uint32_t>(TIFFTAG_IMAGEWIDTH, static_cast<uint32_t>(options.width));
  set<uint32_t>(TIFFTAG_IMAGELENGTH, static_cast<uint32_t>(options.height));
  set<int>(TIFFTAG_SAMPLESPERPIXEL, static_cast<int>(options.channels));
  set<int>(TIFFTAG_BITSPERSAMPLE, options.type.bits);
  set<int>(TIFFTAG_SAMPLEFORMAT, floating ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT);
  set<int>(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  const bool rgb = options.type == kUint8 && options.channels == 3;
  set<int>(TIFFTAG_PHOTOMETRIC, rgb ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
  if (!rgb && options.channels > 1) {
    const std::vector<uint16_t> extra(static_cast<size_t>(options.channels - 1), EXTRASAMPLE_UNSPECIFIED);
    if (!TIFFSetField(tiff.get(), TIFFTAG_EXTRASAMPLES, static_cast<int>(extra.size()), extra.data())) fail();
  }
  set<int>(TIFFTAG_COMPRESSION, compression_tag(options.compression));
  if (options.compression == Compression::lzw && !floating) set<int>(TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
  if (options.tile_px > 0) {
    set<uint32_t>(TIFFTAG_TILEWIDTH, static_cast<uint32_t>(options.tile_px));
    set<uint32_t>(TIFFTAG_TILELENGTH, static_cast<uint32_t>(options.tile_px));
  } else {
    set<uint32_t>(TIFFTAG_ROWSPERSTRIP, static_cast<uint32_t>(buffer_rows));
  }
  if (page == 0) set(TIFFTAG_IMAGEDESCRIPTION, imagej_description(options.metadata, options.pages).c_str());
  if (const PixelSize& size = options.metadata.pixel_size; size.known()) {
    set<double>(TIFFTAG_XRESOLUTION, 1 / size.width_um);
    set<double>(TIFFTAG_YRESOLUTION, 1 / size.height_um);
    set<int>(TIFFTAG_RESOLUTIONUNIT, RESUNIT_NONE);
  }
}

template <class T>
void ImageWriter::State::write_rows(const Grid<T>& band) {
  if (page == options.pages || band.width != options.width || band.channels != options.channels ||
      band.height > options.height - row) {
    throw ShapeError(concat("write ", file.path().string(), ": expected at most ",
                            page == options.pages ? 0 : options.height - row, " more rows of [", options.width, ",",
                            options.channels, "] on page ", page, ", got ", band.shape_text()));
  }
  const int64_t row_values = options.width * options.channels;
  for (int64_t y = 0; y < band.height; ++y) {
    if (row == 0) begin_page();
    std::byte* to = &buffer[static_cast<size_t>(row % buffer_rows * row_bytes)];
    const T* values = &band.at(y, 0);
    if (const int64_t bad = pack_samples(values, row_values, options.type, to); bad < row_values) {
      throw DataError(concat("write ", file.path().string(), ", page ", page, ", row ", row, ", column ",
                             bad / options.channels, ": ", values[bad], " does not fit ", options.type.name()));
    }
    ++row;
    if (row % buffer_rows == 0 || row == options.height) flush();
    if (row == options.height) {
      if (!TIFFWriteDirectory(tiff.get())) fail();
      ++page;
      row = 0;
    }
  }
}

void ImageWriter::State::flush() {
  if (options.tile_px > 0) {
    flush_tiles();
  } else {
    flush_strip();
  }
}

void ImageWriter::State::flush_strip() {
  const int64_t rows = (row - 1) % buffer_rows + 1;
  const auto strip = static_cast<uint32_t>((row - 1) / buffer_rows);
  write_chunk(strip, buffer, rows * row_bytes);
}

void ImageWriter::State::flush_tiles() {
  const int64_t rows = (row - 1) % buffer_rows + 1, first_row = row - rows;
  const int64_t pixel_bytes = row_bytes / options.width, tile_row_bytes = options.tile_px * pixel_bytes;
  std::vector<std::byte> tile(static_cast<size_t>(options.tile_px * tile_row_bytes));
  for (int64_t left = 0; left < options.width; left += options.tile_px) {
    std::fill(tile.begin(), tile.end(), std::byte{0});
    const int64_t bytes = std::min(options.tile_px, options.width - left) * pixel_bytes;
    for (int64_t y = 0; y < rows; ++y) {
      std::memcpy(&tile[static_cast<size_t>(y * tile_row_bytes)],
                  &buffer[static_cast<size_t>(y * row_bytes + left * pixel_bytes)], static_cast<size_t>(bytes));
    }
    const uint32_t index =
        TIFFComputeTile(tiff.get(), static_cast<uint32_t>(left), static_cast<uint32_t>(first_row), 0, 0);
    write_chunk(index, tile, std::ssize(tile));
  }
}

void ImageWriter::State::write_chunk(uint32_t index, const std::vector<std::byte>& chunk, int64_t bytes) {
  last_chunk = index;
  last_bytes.assign(chunk.begin(), chunk.begin() + bytes);
  const auto write = options.tile_px > 0 ? TIFFWriteEncodedTile : TIFFWriteEncodedStrip;
  if (write(tiff.get(), index, last_bytes.data(), bytes) < 0) fail();
}

/// Finds files that were written without error and yet cannot be read: the last chunk comes back as it was given.
void ImageWriter::State::read_back() {
  const TiffHandle check(file, TiffHandle::Mode::read_back);
  std::vector<std::byte> bytes(last_bytes.size());
  const auto read = options.tile_px > 0 ? TIFFReadEncodedTile : TIFFReadEncodedStrip;
  if (!TIFFSetDirectory(check.get(), static_cast<tdir_t>(options.pages - 1)) ||
      read(check.get(), last_chunk, bytes.data(), std::ssize(bytes)) != std::ssize(bytes) || bytes != last_bytes) {
    check.rethrow_io_error();
    throw IoError(concat("write ", file.path().string(),
                         ": what was written does not read back: ", check.last_error("other values")));
  }
}

void ImageWriter::State::commit() {
  if (page != options.pages) {
    throw ShapeError(concat("write ", file.path().string(), ": expected ", options.pages, " pages, got ", page, " and ",
                            row, " rows"));
  }
  tiff.close();
  read_back();
  file.commit();
}

ImageWriter::ImageWriter(const std::filesystem::path& path, const WriterOptions& options) {
  validate(options);
  state_ = std::make_unique<State>(path, options);
}
ImageWriter::ImageWriter(ImageWriter&&) noexcept = default;
ImageWriter::~ImageWriter() = default;

void ImageWriter::write_rows(const Image& band) { state_->write_rows(band); }
void ImageWriter::write_rows(const LabelMap& band) { state_->write_rows(band); }
void ImageWriter::commit() { state_->commit(); }

void write_image(const std::filesystem::path& path, const Image& image, SampleType type,
                 const ImageMetadata& metadata) {
  ImageWriter writer(
      path,
      {.height = image.height, .width = image.width, .channels = image.channels, .type = type, .metadata = metadata});
  writer.write_rows(image);
  writer.commit();
}

void write_labels(const std::filesystem::path& path, const LabelMap& labels, SampleType type,
                  const ImageMetadata& metadata) {
  ImageWriter writer(path, {.height = labels.height,
                            .width = labels.width,
                            .channels = labels.channels,
                            .type = type,
                            .metadata = metadata});
  writer.write_rows(labels);
  writer.commit();
}

}  // namespace unet
