// A file that grows record by record while a program runs.
#pragma once

#include <filesystem>
#include <string_view>

namespace unet {

/// Every append() has reached the operating system whole when it returns, so a killed program loses nothing.
/// Errors: IoError naming path and reason.
class AppendFile {
 public:
  /// Opens an existing file at its end, or creates it.
  explicit AppendFile(const std::filesystem::path& path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::string_view bytes);
  /// Cuts the file off after its first `bytes` bytes.
  void truncate(size_t bytes);

  const std::filesystem::path& path() const { return path_; }

 private:
  [[noreturn]] void fail(const char* action) const;

  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace unet
