#include "unet/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/error.h"

namespace unet {

AppendFile::AppendFile(const std::filesystem::path& path)
    : path_(path), file_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (file_ < 0) fail("open");
}

AppendFile::~AppendFile() { close(file_); }

void AppendFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("append to");
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void AppendFile::truncate(size_t bytes) {
  if (ftruncate(file_, static_cast<off_t>(bytes)) != 0) fail("shorten");
}

void AppendFile::fail(const char* action) const {
  throw IoError(concat("cannot ", action, " ", path_.string(), ": ", std::strerror(errno)));
}

}  // namespace unet
