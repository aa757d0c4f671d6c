// An open libtiff handle whose errors and warnings stay with it.
#pragma once

#include <tiffio.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/atomic_file.h"
#include "engine/input_file.h"

namespace unet {

/// Owns a TIFF* on a file that it does not own. libtiff's messages are collected here (at most kMaxNotes of each kind)
/// instead of printed; memory mapping is off, and one allocation of libtiff is at most kMaxChunkBytes.
class TiffHandle {
 public:
  explicit TiffHandle(const engine::InputFile& file);
  enum class Mode : uint8_t { write_classic, write_big, read_back };
  TiffHandle(engine::AtomicFile& file, Mode mode);
  TiffHandle(TiffHandle&&) noexcept;
  ~TiffHandle();

  TIFF* get() const { return tiff_; }
  /// What libtiff said last, or `otherwise` if it said nothing.
  std::string last_error(const std::string& otherwise) const;
  /// Throws the IoError of the system call that failed below libtiff, if one did.
  void rethrow_io_error() const;
  const std::vector<std::string>& warnings() const;
  /// Ends writing: libtiff writes what it holds back. No other call may follow.
  void close();

 private:
  struct Stream;
  void open(const std::string& name, const char* mode);

  std::unique_ptr<Stream> stream_;
  TIFF* tiff_ = nullptr;
};

}  // namespace unet
