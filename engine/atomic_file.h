// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace unet::engine {

/// Writes a file under a temporary name in the same folder and gives it its own name in commit(). Whoever opens the
/// path sees either what was there before or the complete new file, also after a crash or a power cut. Without
/// commit() the destructor removes the temporary file. A killed process leaves `.NAME.PID-N.tmp` behind; see
/// remove_abandoned_files().
///
/// All members throw IoError with the path and the operating system's reason; where the disk is full, also with the
/// bytes needed and free. After an error only destruction is useful. The order of steps (write, fsync, close, rename,
/// fsync of the folder) follows Pillai et al. 2014, "All File Systems Are Not Created Equal".
class AtomicFile {
 public:
  /// Creates the temporary file. A symbolic link at path stays, and what it points to is replaced; the permissions of
  /// a file that is replaced are kept. Throws IoError where the folder does not exist or cannot be written, or path is
  /// something else than a regular file.
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;

  /// Takes room for a file of this size, so that a full disk shows before the first byte is written. File systems
  /// that cannot do so are left alone.
  void reserve(uint64_t bytes);
  /// Appends.
  void write(std::span<const std::byte> data) { write_at(size_, data); }
  /// Writes at an offset: over earlier bytes, or past the end, where a gap reads as zeros.
  void write_at(uint64_t offset, std::span<const std::byte> data);
  /// Reads back what was written; returns the number of bytes, fewer than asked for only at the end of the file.
  size_t read_at(uint64_t offset, std::span<std::byte> data) const;
  uint64_t size() const { return size_; }

  /// Makes the file durable and visible. On failure the path is what it was before, except where making the new name
  /// itself durable failed last: then the complete file is visible, and may be gone after a power cut.
  void commit();

  const std::filesystem::path& path() const { return path_; }
  /// For libraries that open the file themselves, until commit().
  std::filesystem::path temporary_path() const;

 private:
  [[noreturn]] void fail(const char* operation, int error, uint64_t needed_bytes = 0) const;
  void close_all() noexcept;

  std::filesystem::path path_;
  std::string temporary_;  // name inside the folder; empty once committed
  int folder_ = -1;
  int file_ = -1;
  uint64_t size_ = 0;
  uint64_t reserved_ = 0;
};

/// Removes the temporary files that killed processes left in a folder; returns their number. Only for a folder that no
/// other process writes to: its files in the making would go too.
int remove_abandoned_files(const std::filesystem::path& folder);

}  // namespace unet::engine
