// Writes multi-page TIFF files row by row, in bounded memory.
#pragma once

#include <filesystem>
#include <memory>

#include "unet/image.h"
#include "unet/image_metadata.h"
#include "unet/sample_type.h"

namespace unet {

enum class Compression : uint8_t { none, lzw, deflate, zstd };

struct WriterOptions {
  int64_t pages = 1, height = 0, width = 0, channels = 1;  // of the whole file
  SampleType type = kFloat32;                              // uint8, uint16, uint32 or float32
  Compression compression = Compression::deflate;          // lzw of integers with a predictor
  int64_t tile_px = 0;     // side of square tiles, a multiple of 16; 0: strips of about 256 KiB
  ImageMetadata metadata;  // pixel size and axes to carry over
};

/// A TIFF file that receives its pages in order and each page's rows from top to bottom, in bands of any height.
/// BigTIFF where the pixels take more than 3.5 GB. ImageJ opens all but tiles and zstd: it undoes the predictor of LZW
/// alone, so the others go without one (probabilities of 8 bits take as much room either way). The name appears,
/// complete, with commit(); without it nothing stays behind.
class ImageWriter {
 public:
  /// Throws ConfigError for options that cannot be, IoError where the file cannot be made.
  ImageWriter(const std::filesystem::path& path, const WriterOptions& options);
  ImageWriter(ImageWriter&&) noexcept;
  ~ImageWriter();

  /// Appends band [rows, width, channels]; a band ends with its page at the latest. Floats become the nearest integers.
  /// Throws DataError for a value outside the sample type, ShapeError for another width or too many rows, IoError.
  void write_rows(const Image& band);
  void write_rows(const LabelMap& band);

  /// After the last row: reads the last rows back, then makes the file durable under its name.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One page with one call.
void write_image(const std::filesystem::path& path, const Image& image, SampleType type = kFloat32,
                 const ImageMetadata& metadata = {});
void write_labels(const std::filesystem::path& path, const LabelMap& labels, SampleType type = kUint16,
                  const ImageMetadata& metadata = {});

}  // namespace unet
