// A file of images as a grid of separately decodable chunks: the common face of TIFF and PNG towards ImageReader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "unet/image_metadata.h"
#include "unet/sample_type.h"

namespace unet {

/// Limits that hold for every file, so that a header of some bytes cannot ask for gigabytes.
inline constexpr int64_t kMaxSidePx = int64_t{1} << 20;
inline constexpr int64_t kMaxPixels = int64_t{1} << 36;
inline constexpr int64_t kMaxChannels = 16;
inline constexpr int64_t kMaxChunkBytes = int64_t{1} << 28;
inline constexpr size_t kMaxNotes = 20;

/// One stored page: its pixels before orientation, and its division into equal chunks (strips, tiles, bands of rows).
/// A chunk is [chunk_height, row_bytes()] bytes of `samples_per_chunk` interleaved samples in native byte order; chunks
/// at the right and lower edge are as large as the others, with zeros where rows are missing.
struct StoredPage {
  int64_t height = 0, width = 0, channels = 1;  // px, px, samples per pixel
  SampleType type;
  bool inverted = false;  // 0 means white: values are flipped when read
  bool has_alpha = false;
  int orientation = 1;   // as TIFF counts, 1 .. 8
  std::string encoding;  // such as "LZW tiles", for people

  int64_t chunk_height = 0, chunk_width = 0;
  int64_t channel_planes = 1;  // 1: interleaved channels; else each channel has chunks of its own

  int64_t samples_per_chunk() const { return channels / channel_planes; }
  int64_t row_bytes() const { return (chunk_width * samples_per_chunk() * type.bits + 7) / 8; }
  int64_t chunk_bytes() const { return chunk_height * row_bytes(); }
};

struct ChunkIndex {
  int64_t page = 0, channel_plane = 0, row = 0, column = 0;  // row and column in chunks

  auto operator<=>(const ChunkIndex&) const = default;
};

class ImageSource {
 public:
  virtual ~ImageSource() = default;

  const std::vector<StoredPage>& pages() const { return pages_; }
  const ImageMetadata& metadata() const { return metadata_; }
  /// What a person should know about how the file is understood, at most kMaxNotes lines.
  const std::vector<std::string>& notes() const { return notes_; }

  /// Fills `out` [chunk_bytes()], which comes zeroed. Throws DataError naming the page where the data is broken.
  virtual void decode(const ChunkIndex& chunk, std::span<std::byte> out) = 0;

 protected:
  void add_note(std::string text) {
    if (notes_.size() < kMaxNotes) notes_.push_back(std::move(text));
  }

  std::vector<StoredPage> pages_;
  ImageMetadata metadata_;
  std::vector<std::string> notes_;
};

}  // namespace unet
