// ZIP archives of small files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "engine/atomic_file.h"

namespace unet {

/// Writes an archive entry by entry, without compression. The name appears, complete, with commit(); without it nothing
/// stays behind. Entries carry the earliest time that the format has, so that equal contents give equal files.
/// Source: PKWARE APPNOTE 6.3, sections 4.3 and 4.4; without ZIP64.
class ZipWriter {
 public:
  /// Throws IoError where the file cannot be made.
  explicit ZipWriter(const std::filesystem::path& path) : file_(path) {}

  /// Adds an entry. `name` is a relative path in UTF-8 of at most 65535 bytes. Throws DataError from the 65536th entry
  /// and from 4 GiB on, IoError.
  void add(std::string_view name, std::string_view content);
  /// Writes the directory and makes the file durable under its name.
  void commit();

 private:
  void write(std::string_view bytes);

  engine::AtomicFile file_;
  std::string directory_;
  size_t entries_ = 0;
};

}  // namespace unet
