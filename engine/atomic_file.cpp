#include "engine/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <tuple>
#include <utility>

#include "kernels/error.h"

namespace unet::engine {
namespace {

namespace fs = std::filesystem;

/// Repeats a system call that a signal interrupted.
template <class Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// `.NAME.PID-N.tmp`, below the 255 bytes that file systems allow.
std::string temporary_name(const fs::path& path) {
  static std::atomic<unsigned> count{0};
  return concat(".", path.filename().string().substr(0, 200), ".", getpid(), "-", ++count, ".tmp");
}

bool is_temporary_name(std::string_view name) {
  if (!name.starts_with('.') || !name.ends_with(".tmp")) return false;
  name = name.substr(1, name.size() - 5);
  const size_t dot = name.rfind('.'), dash = name.rfind('-');
  if (dot == name.npos || dash == name.npos || dot == 0 || dash < dot) return false;
  const auto is_number = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  };
  return is_number(name.substr(dot + 1, dash - dot - 1)) && is_number(name.substr(dash + 1));
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : "."; }

}  // namespace

AtomicFile::AtomicFile(const fs::path& path) : path_(path) {
  std::error_code error;
  if (fs::is_symlink(path_, error)) path_ = fs::weakly_canonical(path_, error);
  const fs::file_status status = fs::status(path_, error);
  if (path_.filename().empty() || (fs::exists(status) && !fs::is_regular_file(status))) {
    throw IoError(concat("write ", path_, ": expected a regular file or a new name, got a folder or a device"));
  }
  folder_ = retry([&] { return open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (folder_ < 0) fail("open the folder", errno);
  do {
    temporary_ = temporary_name(path_);
    file_ = retry([&] { return openat(folder_, temporary_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666); });
  } while (file_ < 0 && errno == EEXIST);
  if (file_ < 0) {
    const int reason = errno;
    temporary_.clear();
    close_all();
    fail("create", reason);
  }
  // A file system without permissions refuses; its files have none to keep.
  if (fs::exists(status)) std::ignore = fchmod(file_, static_cast<mode_t>(status.permissions()));
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      folder_(std::exchange(other.folder_, -1)),
      file_(std::exchange(other.file_, -1)),
      size_(other.size_),
      reserved_(other.reserved_) {}

AtomicFile::~AtomicFile() { close_all(); }

fs::path AtomicFile::temporary_path() const { return folder_of(path_) / temporary_; }

void AtomicFile::close_all() noexcept {
  if (file_ >= 0) close(file_);
  if (!temporary_.empty()) unlinkat(folder_, temporary_.c_str(), 0);
  if (folder_ >= 0) close(folder_);
  file_ = folder_ = -1;
  temporary_.clear();
}

void AtomicFile::fail(const char* operation, int error, uint64_t needed_bytes) const {
  std::string text = concat("write ", path_, ": cannot ", operation, ": ", std::generic_category().message(error));
  struct statvfs info;
  if ((error == ENOSPC || error == EDQUOT) && fstatvfs(folder_, &info) == 0) {
    text += concat("; the file needs ", std::max(needed_bytes, reserved_), " bytes, ", size_, " are written and ",
                   uint64_t{info.f_bavail} * info.f_frsize, " more are free; make room or choose another folder");
  }
  throw IoError(text);
}

void AtomicFile::reserve(uint64_t bytes) {
  reserved_ = bytes;
  if (bytes == 0) return;
  const int result = retry([&] { return fallocate(file_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)); });
  if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) fail("reserve room", errno, bytes);
}

void AtomicFile::write_at(uint64_t offset, std::span<const std::byte> data) {
  const uint64_t end = offset + data.size();
  while (!data.empty()) {
    const ssize_t n = retry([&] { return pwrite(file_, data.data(), data.size(), static_cast<off_t>(offset)); });
    if (n <= 0) fail("write", n == 0 ? ENOSPC : errno, end);
    offset += static_cast<uint64_t>(n);
    data = data.subspan(static_cast<size_t>(n));
    size_ = std::max(size_, offset);
  }
}

size_t AtomicFile::read_at(uint64_t offset, std::span<std::byte> data) const {
  size_t done = 0;
  while (done < data.size()) {
    const ssize_t n =
        retry([&] { return pread(file_, data.data() + done, data.size() - done, static_cast<off_t>(offset + done)); });
    if (n < 0) fail("read back", errno);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

void AtomicFile::commit() {
  if (retry([&] { return fsync(file_); }) != 0) fail("make the data durable", errno, size_);
  const int closed = close(file_);  // releases the descriptor whatever it returns
  file_ = -1;
  if (closed != 0 && errno != EINTR) fail("close", errno, size_);
  const std::string name = path_.filename().string();
  if (renameat(folder_, temporary_.c_str(), folder_, name.c_str()) != 0) fail("rename", errno, size_);
  temporary_.clear();
  // EINVAL: a file system whose folders need no fsync and refuse it.
  if (retry([&] { return fsync(folder_); }) != 0 && errno != EINVAL) fail("make the new name durable", errno);
}

int remove_abandoned_files(const fs::path& folder) {
  int count = 0;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (is_temporary_name(name) && fs::remove(entry->path(), error)) ++count;
    if (error) break;
  }
  if (error) throw IoError(concat("clean ", folder, ": ", error.message()));
  return count;
}

}  // namespace unet::engine
