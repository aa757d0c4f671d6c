#include "engine/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "kernels/error.h"

namespace unet::engine {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* operation, int error) {
  throw IoError(concat("read ", path, ": cannot ", operation, ": ", std::generic_category().message(error)));
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : path_(path) {
  file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // O_NONBLOCK: a named pipe must not hang us
  if (file_ < 0) fail(path, "open", errno);
  struct stat info;
  const int result = fstat(file_, &info);
  const int error = errno;
  if (result != 0 || !S_ISREG(info.st_mode)) {
    close(file_);
    if (result != 0) fail(path, "look at the file", error);
    throw IoError(concat("read ", path, ": expected a regular file, got a folder, a device or a pipe"));
  }
  size_ = static_cast<uint64_t>(info.st_size);
}

InputFile::~InputFile() {
  if (file_ >= 0) close(file_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)), size_(other.size_) {}

size_t InputFile::read_at(uint64_t offset, std::span<std::byte> data) const {
  size_t done = 0;
  while (done < data.size()) {
    const ssize_t n = pread(file_, data.data() + done, data.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(path_, "read", errno);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

}  // namespace unet::engine
