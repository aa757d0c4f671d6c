#include "unet/tiff_source.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "kernels/error.h"

namespace unet {
namespace {

constexpr int64_t kBandBytes = int64_t{1} << 20;        // what is read at once where rows can be had one by one
constexpr int64_t kWholeStripBytes = int64_t{1} << 24;  // larger compressed strips are decoded in bands

template <class T>
std::optional<T> tag(TIFF* tiff, uint32_t name) {
  T value{};
  if (!TIFFGetField(tiff, name, &value)) return std::nullopt;
  return value;
}

template <class T>
T tag_or_default(TIFF* tiff, uint32_t name, T otherwise) {
  T value{};
  return TIFFGetFieldDefaulted(tiff, name, &value) ? value : otherwise;
}

std::string compression_name(uint16_t compression) {
  switch (compression) {
    case COMPRESSION_NONE:
      return "uncompressed";
    case COMPRESSION_LZW:
      return "LZW";
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_DEFLATE:
      return "Deflate";
    case COMPRESSION_PACKBITS:
      return "PackBits";
    case COMPRESSION_ZSTD:
      return "ZSTD";
    case COMPRESSION_CCITTRLE:
    case COMPRESSION_CCITTRLEW:
    case COMPRESSION_CCITTFAX3:
    case COMPRESSION_CCITTFAX4:
      return "CCITT fax";
    case COMPRESSION_JPEG:
    case COMPRESSION_OJPEG:
      return "JPEG";
    case COMPRESSION_JP2000:
      return "JPEG 2000";
    case COMPRESSION_WEBP:
      return "WebP";
    case COMPRESSION_LERC:
      return "LERC";
    case COMPRESSION_LZMA:
      return "LZMA";
    case COMPRESSION_SGILOG:
    case COMPRESSION_SGILOG24:
      return "LogLuv";
    default:
      return concat("number ", compression);
  }
}

bool is_supported_compression(uint16_t compression) {
  switch (compression) {
    case COMPRESSION_NONE:
    case COMPRESSION_LZW:
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_DEFLATE:
    case COMPRESSION_PACKBITS:
    case COMPRESSION_ZSTD:
      return true;
    default:
      return false;
  }
}

std::string photometric_name(uint16_t photometric) {
  switch (photometric) {
    case PHOTOMETRIC_PALETTE:
      return "palette";
    case PHOTOMETRIC_MASK:
      return "transparency mask";
    case PHOTOMETRIC_SEPARATED:
      return "CMYK";
    case PHOTOMETRIC_YCBCR:
      return "YCbCr";
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB:
      return "L*a*b*";
    case PHOTOMETRIC_LOGL:
    case PHOTOMETRIC_LOGLUV:
      return "LogLuv";
    default:
      return concat("number ", photometric);
  }
}

std::optional<SampleKind> sample_kind(uint16_t format) {
  switch (format) {
    case SAMPLEFORMAT_UINT:
    case SAMPLEFORMAT_VOID:  // "untyped": readers take it as unsigned, TIFF 6.0 section 19
      return SampleKind::unsigned_integer;
    case SAMPLEFORMAT_INT:
      return SampleKind::signed_integer;
    case SAMPLEFORMAT_IEEEFP:
      return SampleKind::floating_point;
    default:
      return std::nullopt;
  }
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Bytes of each sample from one byte order to the other.
void swap_bytes(std::span<std::byte> bytes, int bits) {
  const size_t size = static_cast<size_t>(bits) / 8;
  for (size_t at = 0; at + size <= bytes.size(); at += size) std::reverse(&bytes[at], &bytes[at] + size);
}

}  // namespace

template <class... Parts>
void TiffSource::fail(int64_t page, const Parts&... parts) const {
  handle_.rethrow_io_error();
  throw DataError(concat("read ", file_.path().string(), ", page ", page, ": ", parts...));
}

TiffSource::TiffSource(const std::filesystem::path& path)
    : file_(path), structure_(check_tiff_structure(file_)), handle_(file_) {
  for (const uint64_t offset : structure_.directories) add_page(offset);
  if (pages_.empty()) {
    throw DataError(concat("read ", path.string(), ": expected images, got only thumbnails or transparency masks"));
  }
  read_metadata();
  for (const std::string& warning : handle_.warnings()) add_note(warning);
}

void TiffSource::add_page(uint64_t offset) {
  TIFF* tiff = handle_.get();
  const auto number = static_cast<int64_t>(pages_.size());
  selected_page_ = -1;
  if (!TIFFSetSubDirectory(tiff, offset)) fail(number, handle_.last_error("damaged directory"));
  if (tag_or_default<uint32_t>(tiff, TIFFTAG_SUBFILETYPE, 0) & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) return;
  selected_page_ = number;

  const auto compression = tag_or_default<uint16_t>(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  if (!is_supported_compression(compression) || !TIFFIsCODECConfigured(compression)) {
    fail(number, compression_name(compression),
         " compression is not supported; save it uncompressed or with LZW, Deflate, PackBits or ZSTD");
  }
  StoredPage page;
  Directory directory;
  directory.offset = offset;
  directory.tiled = TIFFIsTiled(tiff) != 0;
  directory.reversed_bits = tag_or_default<uint16_t>(tiff, TIFFTAG_FILLORDER, FILLORDER_MSB2LSB) == FILLORDER_LSB2MSB;
  page.encoding = concat(compression_name(compression), directory.tiled ? " tiles" : " strips");
  read_geometry(number, page);
  read_sample_type(number, page);
  plan_chunks(number, compression == COMPRESSION_NONE, page, directory);
  pages_.push_back(std::move(page));
  directories_.push_back(directory);
}

void TiffSource::read_geometry(int64_t number, StoredPage& page) const {
  TIFF* tiff = handle_.get();
  page.width = tag<uint32_t>(tiff, TIFFTAG_IMAGEWIDTH).value_or(0);
  page.height = tag<uint32_t>(tiff, TIFFTAG_IMAGELENGTH).value_or(0);
  page.channels = tag_or_default<uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  if (page.width < 1 || page.height < 1 || page.width > kMaxSidePx || page.height > kMaxSidePx ||
      page.width * page.height > kMaxPixels) {
    fail(number, "expected sides of 1 .. ", kMaxSidePx, " and at most ", kMaxPixels, " pixels, got ", page.height,
         " x ", page.width);
  }
  if (page.channels < 1 || page.channels > kMaxChannels) {
    fail(number, "expected 1 .. ", kMaxChannels, " channels, got ", page.channels);
  }
  const bool planar =
      tag_or_default<uint16_t>(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
  page.channel_planes = planar ? page.channels : 1;
  page.orientation = tag_or_default<uint16_t>(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
  if (page.orientation < 1 || page.orientation > 8) page.orientation = ORIENTATION_TOPLEFT;
  uint16_t extra_count = 0, *extra = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &extra_count, &extra) && extra_count > 0) {
    const uint16_t last = extra[extra_count - 1];
    page.has_alpha = last == EXTRASAMPLE_ASSOCALPHA || last == EXTRASAMPLE_UNASSALPHA;
  }
}

void TiffSource::read_sample_type(int64_t number, StoredPage& page) const {
  TIFF* tiff = handle_.get();
  const auto photometric = tag<uint16_t>(tiff, TIFFTAG_PHOTOMETRIC).value_or(PHOTOMETRIC_MINISBLACK);
  if (photometric != PHOTOMETRIC_MINISWHITE && photometric != PHOTOMETRIC_MINISBLACK &&
      photometric != PHOTOMETRIC_RGB) {
    fail(number, photometric_name(photometric), " images are not supported; save it as gray or RGB");
  }
  const auto format = tag_or_default<uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  const std::optional<SampleKind> kind = sample_kind(format);
  if (!kind) fail(number, "sample format ", format, " is not supported; save it as integers or floats");
  page.type = {*kind, tag_or_default<uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE, 1)};
  if (!page.type.is_readable()) {
    fail(number, page.type.name(), " samples are not supported; save it with 8, 16 or 32 bits");
  }
  page.inverted = photometric == PHOTOMETRIC_MINISWHITE;
  if (page.inverted && page.type.kind != SampleKind::unsigned_integer) {
    fail(number, "white-is-zero is not defined for ", page.type.name(), " samples; save it as black-is-zero");
  }
}

void TiffSource::plan_chunks(int64_t number, bool uncompressed, StoredPage& page, Directory& directory) const {
  TIFF* tiff = handle_.get();
  if (directory.tiled) {
    page.chunk_width = tag<uint32_t>(tiff, TIFFTAG_TILEWIDTH).value_or(0);
    page.chunk_height = tag<uint32_t>(tiff, TIFFTAG_TILELENGTH).value_or(0);
    if (page.chunk_width < 1 || page.chunk_height < 1 || page.chunk_width > kMaxSidePx ||
        page.chunk_height > kMaxSidePx) {
      fail(number, "tiles of ", page.chunk_height, " x ", page.chunk_width, " pixels are not supported");
    }
  } else {
    const auto rows = tag_or_default<uint32_t>(tiff, TIFFTAG_ROWSPERSTRIP, 0);
    page.chunk_width = page.width;
    page.chunk_height = rows == 0 ? page.height : std::min<int64_t>(rows, page.height);
    directory.rows_per_strip = page.chunk_height;
  }
  // Where libtiff would not read as many bytes as the buffer holds, it is not asked to.
  const uint64_t strile_bytes = directory.tiled ? TIFFTileSize64(tiff) : TIFFStripSize64(tiff);
  if (strile_bytes != static_cast<uint64_t>(page.chunk_bytes())) {
    fail(number, "strip or tile sizes contradict each other");
  }
  if (!directory.tiled && (uncompressed || page.chunk_bytes() > kWholeStripBytes)) {
    directory.access = uncompressed ? Access::direct : Access::scanlines;
    page.chunk_height = std::clamp<int64_t>(kBandBytes / page.row_bytes(), 1, page.height);
  }
  if (page.chunk_bytes() > kMaxChunkBytes) {
    fail(number, "tiles of ", page.chunk_bytes(), " bytes are not supported, at most ", kMaxChunkBytes);
  }
}

void TiffSource::read_metadata() {
  select(0);
  TIFF* tiff = handle_.get();
  const auto x = tag<float>(tiff, TIFFTAG_XRESOLUTION).value_or(0),
             y = tag<float>(tiff, TIFFTAG_YRESOLUTION).value_or(0);
  const auto unit = tag_or_default<uint16_t>(tiff, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
  const std::string_view description = tag<const char*>(tiff, TIFFTAG_IMAGEDESCRIPTION).value_or("");
  if (is_imagej_description(description)) {
    int64_t images = 0;
    metadata_ = parse_imagej_description(description, x, y, &images);
    if (pages_.size() == 1 && images > 1) expand_imagej_stack(images);
  } else if (is_ome_description(description)) {
    metadata_ = parse_ome_description(description);
  }
  if (!metadata_.pixel_size.known() && unit != RESUNIT_NONE) {
    const double um = unit == RESUNIT_CENTIMETER ? 1e4 : 25.4e3;
    const double depth_um = metadata_.pixel_size.depth_um;
    metadata_.pixel_size = pixel_size_from_resolution(x / um, y / um);
    metadata_.pixel_size.depth_um = depth_um;
  }
}

void TiffSource::expand_imagej_stack(int64_t images) {
  const StoredPage page = pages_[0];
  Directory directory = directories_[0];
  const auto plane_bytes = static_cast<uint64_t>(page.height * page.row_bytes());
  const uint64_t begin = TIFFGetStrileOffset(handle_.get(), 0);
  const bool contiguous = directory.access == Access::direct && page.channel_planes == 1 && begin < file_.size();
  if (!contiguous || (file_.size() - begin) / plane_bytes < static_cast<uint64_t>(images)) {
    // Small files get here when one plane of a stack was saved with the description of all.
    const bool needs_this_form = static_cast<uint64_t>(images) > (uint64_t{1} << 32) / plane_bytes;
    if (needs_this_form) fail(0, "the ImageJ stack of ", images, " planes is truncated");
    add_note(concat("ImageJ's description names ", images, " planes, the file holds one"));
    return;
  }
  if (images > int64_t{65535} * 16) fail(0, "an ImageJ stack of ", images, " planes is not supported");
  pages_.assign(static_cast<size_t>(images), page);
  directories_.clear();
  for (int64_t i = 0; i < images; ++i) {
    directory.data_offset = begin + static_cast<uint64_t>(i) * plane_bytes;
    directories_.push_back(directory);
  }
}

void TiffSource::select(int64_t page) {
  if (page == selected_page_) return;
  selected_page_ = -1;
  next_scanline_ = 0;
  if (!TIFFSetSubDirectory(handle_.get(), directories_[static_cast<size_t>(page)].offset)) {
    fail(page, handle_.last_error("damaged directory"));
  }
  selected_page_ = page;
}

void TiffSource::decode(const ChunkIndex& chunk, std::span<std::byte> out) {
  select(chunk.page);
  switch (directories_[static_cast<size_t>(chunk.page)].access) {
    case Access::direct:
      return decode_direct(chunk, out);
    case Access::chunk:
      return decode_strile(chunk, out);
    case Access::scanlines:
      return decode_scanlines(chunk, out);
  }
}

void TiffSource::decode_direct(const ChunkIndex& chunk, std::span<std::byte> out) {
  const StoredPage& page = pages_[static_cast<size_t>(chunk.page)];
  const Directory& directory = directories_[static_cast<size_t>(chunk.page)];
  const int64_t row_bytes = page.row_bytes(), strips = ceil_div(page.height, directory.rows_per_strip);
  const int64_t begin = chunk.row * page.chunk_height, end = std::min(begin + page.chunk_height, page.height);
  for (int64_t row = begin; row < end;) {
    const int64_t strip = row / directory.rows_per_strip, row_in_strip = row % directory.rows_per_strip;
    const int64_t rows = std::min(directory.rows_per_strip - row_in_strip, end - row);
    uint64_t strip_offset = directory.data_offset + static_cast<uint64_t>(strip * directory.rows_per_strip * row_bytes);
    if (directory.data_offset == 0) {
      const auto index = static_cast<uint32_t>(chunk.channel_plane * strips + strip);
      strip_offset = TIFFGetStrileOffset(handle_.get(), index);
      const int64_t strip_rows = std::min(directory.rows_per_strip, page.height - strip * directory.rows_per_strip);
      const uint64_t stored = TIFFGetStrileByteCount(handle_.get(), index);
      if (strip_offset == 0 || stored < static_cast<uint64_t>(strip_rows * row_bytes)) {
        fail(chunk.page, "strip ", index, " holds ", stored, " bytes, expected ", strip_rows * row_bytes);
      }
    }
    const auto part =
        out.subspan(static_cast<size_t>((row - begin) * row_bytes), static_cast<size_t>(rows * row_bytes));
    const uint64_t offset = strip_offset + static_cast<uint64_t>(row_in_strip * row_bytes);
    if (offset < strip_offset || offset > file_.size() || file_.read_at(offset, part) != part.size()) {
      fail(chunk.page, "the file is truncated at row ", row, " of ", page.height);
    }
    row += rows;
  }
  if (directory.reversed_bits)
    TIFFReverseBits(reinterpret_cast<uint8_t*>(out.data()), static_cast<tmsize_t>(out.size()));
  const bool foreign_order = structure_.big_endian != (std::endian::native == std::endian::big);
  if (foreign_order && page.type.bits % 16 == 0) swap_bytes(out, page.type.bits);
}

/// Compressed strips and tiles are held whole: they exist and are not too large.
void TiffSource::require_stored(int64_t page, const char* kind, uint32_t index) {
  const uint64_t bytes = TIFFGetStrileByteCount(handle_.get(), index);
  if (bytes == 0) fail(page, kind, index, " is missing");
  if (bytes > static_cast<uint64_t>(kMaxChunkBytes)) {
    fail(page, kind, index, " takes ", bytes, " bytes, at most ", kMaxChunkBytes,
         " are supported; save it with smaller strips or with tiles");
  }
}

void TiffSource::decode_strile(const ChunkIndex& chunk, std::span<std::byte> out) {
  const StoredPage& page = pages_[static_cast<size_t>(chunk.page)];
  const bool tiled = directories_[static_cast<size_t>(chunk.page)].tiled;
  const int64_t across = ceil_div(page.width, page.chunk_width), down = ceil_div(page.height, page.chunk_height);
  const auto index = static_cast<uint32_t>((chunk.channel_plane * down + chunk.row) * across + chunk.column);
  const char* kind = tiled ? "tile " : "strip ";
  require_stored(chunk.page, kind, index);
  const int64_t rows =
      tiled ? page.chunk_height : std::min(page.chunk_height, page.height - chunk.row * page.chunk_height);
  const int64_t expected = rows * page.row_bytes();
  const auto read = tiled ? TIFFReadEncodedTile : TIFFReadEncodedStrip;
  if (read(handle_.get(), index, out.data(), expected) != expected) {
    fail(chunk.page, kind, index, " is truncated or damaged: ", handle_.last_error("too few bytes"));
  }
}

void TiffSource::decode_scanlines(const ChunkIndex& chunk, std::span<std::byte> out) {
  const StoredPage& page = pages_[static_cast<size_t>(chunk.page)];
  const int64_t rows_per_strip = directories_[static_cast<size_t>(chunk.page)].rows_per_strip;
  const int64_t begin = chunk.row * page.chunk_height, end = std::min(begin + page.chunk_height, page.height);
  // Within a strip, libtiff goes on from the row before or starts again at the first. Rows above the chunk are decoded
  // into its first row and overwritten.
  const int64_t strip_begin = begin / rows_per_strip * rows_per_strip;
  const bool goes_on =
      chunk.channel_plane == scanline_plane_ && next_scanline_ > strip_begin && next_scanline_ <= begin;
  int64_t row = goes_on ? next_scanline_ : strip_begin;
  const int64_t strips = ceil_div(page.height, rows_per_strip);
  for (int64_t strip = begin / rows_per_strip; strip * rows_per_strip < end; ++strip) {
    require_stored(chunk.page, "strip ", static_cast<uint32_t>(chunk.channel_plane * strips + strip));
  }
  next_scanline_ = 0;
  for (; row < end; ++row) {
    std::byte* to = &out[static_cast<size_t>(std::max<int64_t>(0, row - begin) * page.row_bytes())];
    if (TIFFReadScanline(handle_.get(), to, static_cast<uint32_t>(row), static_cast<uint16_t>(chunk.channel_plane)) !=
        1) {
      fail(chunk.page, "row ", row, " is truncated or damaged: ", handle_.last_error("too few bytes"));
    }
  }
  scanline_plane_ = chunk.channel_plane;
  next_scanline_ = end;
}

}  // namespace unet
