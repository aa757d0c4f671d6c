#include "unet/tiff_handle.h"

#include <cstdarg>
#include <cstdio>
#include <exception>
#include <span>
#include <utility>

#include "kernels/error.h"
#include "unet/image_source.h"

namespace unet {
namespace {

// h: the header only, no directory yet; m: no memory mapping; c: strips as the file has them, not chopped up
constexpr const char* kReadMode = "rhmc";

}  // namespace

/// What libtiff's callbacks see. They are called from C, so nothing may throw through them.
struct TiffHandle::Stream {
  const engine::InputFile* input = nullptr;
  engine::AtomicFile* output = nullptr;  // one of the two
  std::string name;
  uint64_t position = 0;
  std::exception_ptr io_error;
  std::vector<std::string> errors, warnings;

  static Stream& of(thandle_t handle) { return *static_cast<Stream*>(handle); }

  /// Runs transfer(), which returns the number of bytes moved.
  template <class Transfer>
  tmsize_t move(const Transfer& transfer) {
    try {
      const size_t bytes = transfer();
      position += bytes;
      return static_cast<tmsize_t>(bytes);
    } catch (...) {
      io_error = std::current_exception();
      return -1;
    }
  }

  static tmsize_t read(thandle_t handle, void* buffer, tmsize_t bytes) {
    Stream& stream = of(handle);
    const std::span out(static_cast<std::byte*>(buffer), static_cast<size_t>(bytes));
    return stream.move([&] {
      return stream.input ? stream.input->read_at(stream.position, out) : stream.output->read_at(stream.position, out);
    });
  }

  static tmsize_t write(thandle_t handle, void* buffer, tmsize_t bytes) {
    Stream& stream = of(handle);
    return stream.move([&] {
      stream.output->write_at(stream.position, {static_cast<const std::byte*>(buffer), static_cast<size_t>(bytes)});
      return static_cast<size_t>(bytes);
    });
  }

  static toff_t seek(thandle_t handle, toff_t offset, int origin) {
    Stream& stream = of(handle);
    if (origin == SEEK_SET) stream.position = offset;
    if (origin == SEEK_CUR) stream.position += offset;
    if (origin == SEEK_END) stream.position = size(handle) + offset;
    return stream.position;
  }

  static toff_t size(thandle_t handle) {
    const Stream& stream = of(handle);
    return stream.input ? stream.input->size() : stream.output->size();
  }

  static int close(thandle_t) { return 0; }

  static int collect(std::vector<std::string>& lines, const char* module, const char* format, va_list arguments) {
    char text[512];
    std::vsnprintf(text, sizeof text, format, arguments);
    if (lines.size() == kMaxNotes) lines.pop_back();
    lines.push_back(module ? concat(module, ": ", text) : std::string(text));
    return 1;  // handled: libtiff's own handler stays silent
  }
  static int on_error(TIFF*, void* stream, const char* module, const char* format, va_list arguments) {
    return collect(static_cast<Stream*>(stream)->errors, module, format, arguments);
  }
  static int on_warning(TIFF*, void* stream, const char* module, const char* format, va_list arguments) {
    return collect(static_cast<Stream*>(stream)->warnings, module, format, arguments);
  }
};

TiffHandle::TiffHandle(const engine::InputFile& file) : stream_(std::make_unique<Stream>()) {
  stream_->input = &file;
  open(file.path().string(), kReadMode);
}

TiffHandle::TiffHandle(engine::AtomicFile& file, Mode mode) : stream_(std::make_unique<Stream>()) {
  stream_->output = &file;
  open(file.path().string(), mode == Mode::read_back ? kReadMode : mode == Mode::write_big ? "w8m" : "wm");
}

void TiffHandle::open(const std::string& name, const char* mode) {
  stream_->name = name;
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                 TIFFOpenOptionsFree);
  if (!options) throw std::bad_alloc();
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), kMaxChunkBytes);
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), Stream::on_error, stream_.get());
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), Stream::on_warning, stream_.get());
  tiff_ = TIFFClientOpenExt(name.c_str(), mode, stream_.get(), Stream::read, Stream::write, Stream::seek, Stream::close,
                            Stream::size, nullptr, nullptr, options.get());
  if (!tiff_) {
    rethrow_io_error();
    throw DataError(concat("open ", name, ": ", last_error("not a TIFF file")));
  }
}

TiffHandle::TiffHandle(TiffHandle&& other) noexcept
    : stream_(std::move(other.stream_)), tiff_(std::exchange(other.tiff_, nullptr)) {}

TiffHandle::~TiffHandle() {
  if (tiff_) TIFFCleanup(tiff_);
}

void TiffHandle::close() {
  if (!TIFFFlush(tiff_) || stream_->io_error) {
    rethrow_io_error();
    throw IoError(concat("write ", stream_->name, ": ", last_error("failed")));
  }
  TIFFCleanup(std::exchange(tiff_, nullptr));
}

std::string TiffHandle::last_error(const std::string& otherwise) const {
  return stream_->errors.empty() ? otherwise : stream_->errors.back();
}

void TiffHandle::rethrow_io_error() const {
  if (stream_->io_error) std::rethrow_exception(stream_->io_error);
}

const std::vector<std::string>& TiffHandle::warnings() const { return stream_->warnings; }

}  // namespace unet
