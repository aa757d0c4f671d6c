// Reads images of any size, window by window, in bounded memory.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "unet/image.h"
#include "unet/image_metadata.h"
#include "unet/sample_type.h"

namespace unet {

/// Part of a page, in pixels.
struct Window {
  int64_t top = 0, left = 0, rows = 0, columns = 0;
};

struct PageInfo {
  int64_t height = 0, width = 0, channels = 1;  // as read() returns them: after orientation
  SampleType type;
  bool has_alpha = false;  // the last channel is transparency
  std::string encoding;    // such as "uint16, LZW tiles, inverted", for people
};

struct ReaderOptions {
  int64_t cache_bytes = int64_t{64} << 20;    // of decoded strips and tiles kept for the next window
  int64_t max_read_bytes = int64_t{4} << 30;  // of one read()'s result: beyond it OutOfMemory, before any allocation
  bool allow_non_finite = false;              // let read() return NaN and infinity
};

/// A TIFF or PNG file of any size: reading takes memory for the result, the cache and one compressed strip or tile (at
/// most 256 MiB, usually far less). Channels that ImageJ or OME store as separate pages are gathered into one page;
/// orientation and white-is-zero are applied, values are not scaled. Opening reads headers only. One thread at a time
/// may use an object.
class ImageReader {
 public:
  /// Throws IoError for what cannot be read, DataError for what is no image, damaged or not supported.
  explicit ImageReader(const std::filesystem::path& path, ReaderOptions options = {});
  ImageReader(ImageReader&&) noexcept;
  ImageReader& operator=(ImageReader&&) noexcept;
  ~ImageReader();

  const std::filesystem::path& path() const;
  int64_t pages() const;
  const PageInfo& info(int64_t page) const;
  /// Pixel size and axes; the axes' channels are those that read() gathers, and slices * frames == pages().
  const ImageMetadata& metadata() const;
  /// What a person should know about how the file is understood, such as applied orientation. At most 20 lines.
  const std::vector<std::string>& notes() const;

  /// [window.rows, window.columns, channels] of a page. Throws ShapeError for a window that leaves the page, DataError
  /// for damaged data and, unless allowed, for NaN or infinity (naming count and first position).
  Image read(int64_t page, const Window& window);
  Image read(int64_t page);
  /// The same as integers. Throws DataError for a value that is not an integer of 32 bits.
  LabelMap read_labels(int64_t page, const Window& window);
  LabelMap read_labels(int64_t page);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace unet
