// TIFF files for tests: written by libtiff, or put together byte by byte.
#pragma once

#include <tiffio.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "unet/image.h"

namespace unet::test {

struct TiffSpec {
  int pages = 1, height = 37, width = 45, channels = 1;
  int bits = 8, format = SAMPLEFORMAT_UINT;
  int compression = COMPRESSION_NONE, predictor = PREDICTOR_NONE;
  int tile_height = 0, tile_width = 0, rows_per_strip = 7;  // tile_height 0: strips
  bool planar = false;
  int photometric = PHOTOMETRIC_MINISBLACK, orientation = ORIENTATION_TOPLEFT, fill_order = FILLORDER_MSB2LSB;
  std::string mode = "w", description = "";
  float resolution = 0;
  int resolution_unit = RESUNIT_NONE;
};

/// The value that write_tiff stores: an integer that fits the type (1 bit: 0 or 1), halves for floats.
inline double pixel_value(const TiffSpec& spec, int page, int y, int x, int c) {
  const int pattern = page * 37 + y * 5 + x * 3 + c * 11 + (x * y) % 7;
  if (spec.format == SAMPLEFORMAT_IEEEFP) return pattern % 251 * 0.5 - 20;
  if (spec.format == SAMPLEFORMAT_INT) return (pattern % 251 - 125) * (spec.bits > 8 ? 200 : 1);
  if (spec.bits < 8) return pattern % (1 << spec.bits);
  return pattern % 251 * (spec.bits > 8 ? std::min(257, (1 << std::min(spec.bits, 16)) / 256) : 1);
}

inline uint16_t to_half(double value) {  // normal numbers with at most 11 significant bits, and 0
  if (value == 0) return 0;
  int exponent = 0;
  const double fraction = std::frexp(std::fabs(value), &exponent);  // [0.5, 1)
  return static_cast<uint16_t>((value < 0 ? 0x8000 : 0) | (exponent + 14) << 10 |
                               static_cast<int>((fraction * 2 - 1) * 1024));
}

inline void store(std::vector<uint8_t>& row, int index, const TiffSpec& spec, double value) {
  const auto put = [&](auto word) { std::memcpy(&row[static_cast<size_t>(index) * sizeof word], &word, sizeof word); };
  if (spec.format == SAMPLEFORMAT_IEEEFP) {
    if (spec.bits == 16) return put(to_half(value));
    return spec.bits == 32 ? put(static_cast<float>(value)) : put(value);
  }
  const auto integer = static_cast<int64_t>(value);
  if (spec.bits == 8) return put(static_cast<uint8_t>(integer));
  if (spec.bits == 16) return put(static_cast<uint16_t>(integer));
  if (spec.bits == 32) return put(static_cast<uint32_t>(integer));
  if (spec.bits == 64) return put(static_cast<uint64_t>(integer));
  for (int bit = 0; bit < spec.bits; ++bit) {  // packed, most significant bit first
    const int at = index * spec.bits + bit;
    if (integer >> (spec.bits - 1 - bit) & 1) row[static_cast<size_t>(at / 8)] |= static_cast<uint8_t>(0x80 >> at % 8);
  }
}

inline void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string("test file: libtiff failed to ") + what);
}

/// Writes pixel_value() everywhere, with libtiff alone.
inline void write_tiff(const std::filesystem::path& path, const TiffSpec& spec) {
  TIFFSetWarningHandler(nullptr);  // it warns of the old Deflate number
  TIFF* tiff = TIFFOpen(path.c_str(), spec.mode.c_str());
  require(tiff != nullptr, "open");
  for (int page = 0; page < spec.pages; ++page) {
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, spec.width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, spec.height);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, spec.channels);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, spec.bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, spec.format);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, spec.compression);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, spec.photometric);
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, spec.orientation);
    TIFFSetField(tiff, TIFFTAG_FILLORDER, spec.fill_order);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, spec.planar ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    if (spec.predictor != PREDICTOR_NONE) TIFFSetField(tiff, TIFFTAG_PREDICTOR, spec.predictor);
    if (!spec.description.empty()) TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, spec.description.c_str());
    if (spec.resolution > 0) {
      TIFFSetField(tiff, TIFFTAG_XRESOLUTION, static_cast<double>(spec.resolution));
      TIFFSetField(tiff, TIFFTAG_YRESOLUTION, static_cast<double>(spec.resolution) / 2);
      TIFFSetField(tiff, TIFFTAG_RESOLUTIONUNIT, spec.resolution_unit);
    }
    const bool tiled = spec.tile_height > 0;
    if (tiled) {
      TIFFSetField(tiff, TIFFTAG_TILEWIDTH, spec.tile_width);
      TIFFSetField(tiff, TIFFTAG_TILELENGTH, spec.tile_height);
    } else {
      TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, spec.rows_per_strip);
    }
    const int chunk_height = tiled ? spec.tile_height : std::min(spec.rows_per_strip, spec.height);
    const int chunk_width = tiled ? spec.tile_width : spec.width;
    const int planes = spec.planar ? spec.channels : 1, samples = spec.channels / planes;
    const size_t row_bytes = static_cast<size_t>(chunk_width * samples * spec.bits + 7) / 8;
    uint32_t index = 0;
    for (int plane = 0; plane < planes; ++plane) {
      for (int top = 0; top < spec.height; top += chunk_height) {
        for (int left = 0; left < spec.width; left += chunk_width, ++index) {
          const int rows = tiled ? chunk_height : std::min(chunk_height, spec.height - top);
          std::vector<uint8_t> bytes;
          for (int y = top; y < top + rows; ++y) {
            std::vector<uint8_t> row(row_bytes);
            for (int x = left; x < left + chunk_width && x < spec.width && y < spec.height; ++x) {
              for (int s = 0; s < samples; ++s) {
                store(row, (x - left) * samples + s, spec, pixel_value(spec, page, y, x, plane + s));
              }
            }
            bytes.insert(bytes.end(), row.begin(), row.end());
          }
          const auto write = tiled ? TIFFWriteEncodedTile : TIFFWriteEncodedStrip;
          require(write(tiff, index, bytes.data(), std::ssize(bytes)) == std::ssize(bytes), "write pixels");
        }
      }
    }
    require(TIFFWriteDirectory(tiff) != 0, "write a directory");
  }
  TIFFClose(tiff);
}

/// The page that read() is to return.
inline Image expected_page(const TiffSpec& spec, int page = 0) {
  Image image(spec.height, spec.width, spec.channels);
  for (int y = 0; y < spec.height; ++y) {
    for (int x = 0; x < spec.width; ++x) {
      for (int c = 0; c < spec.channels; ++c) image.at(y, x, c) = static_cast<float>(pixel_value(spec, page, y, x, c));
    }
  }
  return image;
}

/// A little-endian classic TIFF with full control over every byte: header, directories in order, then data.
class TiffBytes {
 public:
  struct Entry {
    uint16_t tag, type;
    uint32_t count, value;  // the value itself, or its offset
  };

  void number(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bytes_.push_back(static_cast<char>(value >> 8 * i & 0xff));
  }
  /// A directory; `next` is the offset of the following one.
  void directory(const std::vector<Entry>& entries, uint32_t next = 0) {
    number(entries.size(), 2);
    for (const Entry& entry : entries) {
      number(entry.tag, 2);
      number(entry.type, 2);
      number(entry.count, 4);
      number(entry.value, 4);
    }
    number(next, 4);
  }
  void header(uint32_t first_directory) {
    bytes_ += "II*";
    number(0, 1);
    number(first_directory, 4);
  }
  void text(const std::string& text) { bytes_ += text; }
  const std::string& bytes() const { return bytes_; }

  /// Entries of a gray uint8 image with one uncompressed strip.
  static std::vector<Entry> gray(uint32_t width, uint32_t height, uint32_t data_offset) {
    return {{TIFFTAG_IMAGEWIDTH, 4, 1, width},
            {TIFFTAG_IMAGELENGTH, 4, 1, height},
            {TIFFTAG_BITSPERSAMPLE, 3, 1, 8},
            {TIFFTAG_COMPRESSION, 3, 1, COMPRESSION_NONE},
            {TIFFTAG_PHOTOMETRIC, 3, 1, 1},
            {TIFFTAG_STRIPOFFSETS, 4, 1, data_offset},
            {TIFFTAG_SAMPLESPERPIXEL, 3, 1, 1},
            {TIFFTAG_ROWSPERSTRIP, 4, 1, height},
            {TIFFTAG_STRIPBYTECOUNTS, 4, 1, width * height}};
  }
  static constexpr uint32_t directory_bytes(size_t entries) { return static_cast<uint32_t>(2 + 12 * entries + 4); }

 private:
  std::string bytes_;
};

}  // namespace unet::test
