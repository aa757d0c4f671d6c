// TIFF files through libtiff, page by page and chunk by chunk.
#pragma once

#include <map>
#include <memory>

#include "unet/image_source.h"
#include "unet/tiff_directory.h"
#include "unet/tiff_handle.h"

namespace unet {

/// Classic and big TIFF: strips or tiles, interleaved or planar, none, LZW, Deflate, PackBits, ZSTD. Reduced images and
/// transparency masks are skipped. ImageJ's stacks beyond 4 GB, which have one directory for many planes, count as
/// pages. Anything else (JPEG, fax, palette, YCbCr, CMYK, ...) is refused by name when opened.
class TiffSource : public ImageSource {
 public:
  /// Throws DataError for what is damaged or not supported.
  explicit TiffSource(const std::filesystem::path& path);

  void decode(const ChunkIndex& chunk, std::span<std::byte> out) override;

 private:
  enum class Access : uint8_t {
    direct,    // uncompressed strips: any rows, read without libtiff
    chunk,     // strips or tiles, each decoded as one
    scanlines  // large compressed strips: bands of rows, decoded in order
  };
  struct Directory {
    uint64_t offset = 0;
    Access access = Access::chunk;
    bool tiled = false, reversed_bits = false;
    int64_t rows_per_strip = 0;
    uint64_t data_offset = 0;  // 0, or where the uncompressed pixels of this plane of an ImageJ stack begin
  };

  // Opening: the directory at `offset` becomes a page, unless it is a thumbnail or mask; `number` is for errors.
  void add_page(uint64_t offset);
  void read_geometry(int64_t number, StoredPage& page) const;
  void read_sample_type(int64_t number, StoredPage& page) const;
  void plan_chunks(int64_t number, bool uncompressed, StoredPage& page, Directory& directory) const;
  void read_metadata();
  void expand_imagej_stack(int64_t images);

  // Reading.
  void select(int64_t page);
  void decode_direct(const ChunkIndex& chunk, std::span<std::byte> out);
  void decode_strile(const ChunkIndex& chunk, std::span<std::byte> out);
  void decode_scanlines(const ChunkIndex& chunk, std::span<std::byte> out);
  void require_stored(int64_t page, const char* kind, uint32_t index);
  template <class... Parts>
  [[noreturn]] void fail(int64_t page, const Parts&... parts) const;

  engine::InputFile file_;
  TiffStructure structure_;
  TiffHandle handle_;
  std::vector<Directory> directories_;  // one a page
  int64_t selected_page_ = -1;
  int64_t scanline_plane_ = 0, next_scanline_ = 0;  // where decode_scanlines() goes on in the selected page; 0: nowhere
};

}  // namespace unet
