// A regular file opened for reading at offsets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace unet::engine {

/// Reads by pread, never by memory mapping: a file that another process cuts short is an error here, not a signal.
class InputFile {
 public:
  /// Throws IoError where path cannot be opened or is not a regular file.
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;

  /// Fills data from the offset; returns the number of bytes, fewer than asked for only at the end of the file.
  /// Throws IoError.
  size_t read_at(uint64_t offset, std::span<std::byte> data) const;
  /// Size when it was opened.
  uint64_t size() const { return size_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int file_ = -1;
  uint64_t size_ = 0;
};

}  // namespace unet::engine
