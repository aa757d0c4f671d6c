#include "unet/png_io.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csetjmp>

#include "kernels/error.h"

namespace unet {
namespace {

constexpr int64_t kBandBytes = int64_t{1} << 20;

/// Runs `calls`, which may enter libpng but holds nothing that needs destruction: libpng reports errors by longjmp.
template <class Calls>
bool succeeds(png_structp png, const Calls& calls) {
  if (setjmp(png_jmpbuf(png))) return false;
  calls();
  return true;
}

}  // namespace

struct PngSource::Decoder {
  const engine::InputFile* file;
  uint64_t position = 0;
  int64_t next_row = 0;
  bool io_failed = false;
  std::string error = "damaged data";
  std::vector<std::string> warnings;
  png_structp png = nullptr;
  png_infop info = nullptr;

  explicit Decoder(const engine::InputFile& source) : file(&source) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info = png ? png_create_info_struct(png) : nullptr;
    if (!info) {
      png_destroy_read_struct(&png, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png, this, read);
    png_set_user_limits(png, kMaxSidePx, kMaxSidePx);
    // Of the chunks that an image does without only the pixel size is read: libpng would allocate whatever length a
    // text chunk claims.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, reinterpret_cast<png_const_bytep>("pHYs"), 1);
  }
  ~Decoder() { png_destroy_read_struct(&png, &info, nullptr); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  static void read(png_structp png, png_bytep out, size_t bytes) {
    auto& decoder = *static_cast<Decoder*>(png_get_io_ptr(png));
    size_t got = 0;
    try {
      got = decoder.file->read_at(decoder.position, {reinterpret_cast<std::byte*>(out), bytes});
    } catch (const IoError&) {  // must not pass through C; reported as truncation of a file that cannot be read on
      decoder.io_failed = true;
    }
    decoder.position += got;
    if (got != bytes) png_error(png, decoder.io_failed ? "input/output error" : "the file is truncated");
  }
  static void on_error(png_structp png, png_const_charp message) {
    static_cast<Decoder*>(png_get_error_ptr(png))->error = message;
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp png, png_const_charp message) {
    auto& warnings = static_cast<Decoder*>(png_get_error_ptr(png))->warnings;
    if (warnings.size() < kMaxNotes) warnings.emplace_back(message);
  }

  template <class Calls>
  void run(const Calls& calls) {
    if (succeeds(png, calls)) return;
    const std::string text = concat("read ", file->path().string(), ": ", error);
    if (io_failed) throw IoError(text);
    throw DataError(text);
  }
};

bool is_png(const engine::InputFile& file) {
  std::array<std::byte, 8> start{};
  return file.read_at(0, start) == start.size() && png_sig_cmp(reinterpret_cast<png_bytep>(start.data()), 0, 8) == 0;
}

PngSource::PngSource(const std::filesystem::path& path) : file_(path) {
  restart();
  const png_structp png = decoder_->png;
  const png_infop info = decoder_->info;
  const int color = png_get_color_type(png, info);
  if (color == PNG_COLOR_TYPE_PALETTE) {
    throw DataError(concat("read ", path.string(), ": palette images are not supported; save it as gray or RGB"));
  }
  StoredPage page;
  page.height = png_get_image_height(png, info);
  page.width = png_get_image_width(png, info);
  page.channels = png_get_channels(png, info);
  page.has_alpha = (color & PNG_COLOR_MASK_ALPHA) != 0;
  page.type = {SampleKind::unsigned_integer, png_get_bit_depth(png, info)};
  page.encoding = "PNG";
  if (page.width * page.height > kMaxPixels) {
    throw DataError(concat("read ", path.string(), ": expected at most ", kMaxPixels, " pixels, got ", page.height,
                           " x ", page.width));
  }
  page.chunk_width = page.width;
  const bool interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
  page.chunk_height = interlaced ? page.height : std::clamp<int64_t>(kBandBytes / page.row_bytes(), 1, page.height);
  if (page.chunk_bytes() > kMaxChunkBytes) {
    throw DataError(concat("read ", path.string(), ": interlaced images beyond ", kMaxChunkBytes,
                           " bytes are not supported; save it without interlacing"));
  }
  png_uint_32 x = 0, y = 0;
  int unit = PNG_RESOLUTION_UNKNOWN;
  if (png_get_pHYs(png, info, &x, &y, &unit) && unit == PNG_RESOLUTION_METER) {
    metadata_.pixel_size = pixel_size_from_resolution(x * 1e-6, y * 1e-6);
  }
  pages_.push_back(std::move(page));
  for (const std::string& warning : decoder_->warnings) add_note(warning);
}

PngSource::~PngSource() = default;

void PngSource::restart() {
  decoder_ = std::make_unique<Decoder>(file_);
  decoder_->run([png = decoder_->png, info = decoder_->info] {
    png_read_info(png, info);
    if (png_get_bit_depth(png, info) == 16 && std::endian::native == std::endian::little) png_set_swap(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
  });
}

void PngSource::decode(const ChunkIndex& chunk, std::span<std::byte> out) {
  const StoredPage& page = pages_[0];
  const int64_t begin = chunk.row * page.chunk_height, end = std::min(begin + page.chunk_height, page.height);
  if (begin < decoder_->next_row) restart();
  const png_structp png = decoder_->png;
  if (page.chunk_height == page.height) {
    std::vector<png_bytep> rows;
    for (int64_t row = 0; row < page.height; ++row) {
      rows.push_back(reinterpret_cast<png_bytep>(&out[static_cast<size_t>(row * page.row_bytes())]));
    }
    decoder_->next_row = page.height;
    return decoder_->run([png, &rows] { png_read_image(png, rows.data()); });
  }
  // Rows above the chunk are decoded into its first row and overwritten.
  int64_t& next_row = decoder_->next_row;
  decoder_->run([&, png] {
    for (; next_row < end; ++next_row) {
      const int64_t row = std::max<int64_t>(0, next_row - begin);
      png_read_row(png, reinterpret_cast<png_bytep>(out.data() + row * page.row_bytes()), nullptr);
    }
  });
}

std::string encode_png(const Grid<uint8_t>& image) {
  static constexpr std::array<int, 4> kColors{PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                              PNG_COLOR_TYPE_RGB_ALPHA};
  if (image.channels < 1 || image.channels > 4 || image.height < 1 || image.width < 1) {
    throw ShapeError(concat("encode_png: expected [height,width,1..4], got ", image.shape_text()));
  }
  std::string bytes, error = "failed";
  png_structp png = png_create_write_struct(
      PNG_LIBPNG_VER_STRING, &error,
      [](png_structp self, png_const_charp message) {
        *static_cast<std::string*>(png_get_error_ptr(self)) = message;
        png_longjmp(self, 1);
      },
      [](png_structp, png_const_charp) {});
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  const bool written =
      info && succeeds(png, [&] {
        png_set_write_fn(
            png, &bytes,
            [](png_structp self, png_bytep data, size_t count) {
              static_cast<std::string*>(png_get_io_ptr(self))->append(reinterpret_cast<const char*>(data), count);
            },
            nullptr);
        png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8,
                     kColors[static_cast<size_t>(image.channels - 1)], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                     PNG_FILTER_TYPE_DEFAULT);
        png_write_info(png, info);
        for (int64_t y = 0; y < image.height; ++y) png_write_row(png, &image.at(y, 0));
        png_write_end(png, info);
      });
  png_destroy_write_struct(&png, &info);
  if (!written) throw Error(concat("encode_png: ", error));
  return bytes;
}

}  // namespace unet
