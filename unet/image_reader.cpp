#include "unet/image_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "unet/chunk_cache.h"
#include "unet/png_io.h"
#include "unet/tiff_source.h"

namespace unet {
namespace {

std::unique_ptr<ImageSource> open_source(const std::filesystem::path& path) {
  const engine::InputFile file(path);
  if (file.size() == 0) throw DataError(concat("open ", path.string(), ": the file is empty"));
  if (is_tiff(file)) return std::make_unique<TiffSource>(path);
  if (is_png(file)) return std::make_unique<PngSource>(path);
  throw DataError(concat("open ", path.string(), ": expected a TIFF or PNG image"));
}

/// How a page lies relative to what is stored. Source: TIFF 6.0, Orientation: where stored row 0 and column 0 are.
struct Orientation {
  bool transposed, flip_rows, flip_columns;

  explicit Orientation(int tag)
      : transposed(tag >= 5),
        flip_rows(tag == 3 || tag == 4 || tag == 7 || tag == 8),
        flip_columns(tag == 2 || tag == 3 || tag == 6 || tag == 7) {}

  bool is_identity() const { return !transposed && !flip_rows && !flip_columns; }

  /// The stored window that shows as `window` of a page of `height` x `width`.
  Window to_stored(const Window& window, int64_t height, int64_t width) const {
    const int64_t top = flip_rows ? height - window.top - window.rows : window.top;
    const int64_t left = flip_columns ? width - window.left - window.columns : window.left;
    return transposed ? Window{left, top, window.columns, window.rows} : Window{top, left, window.rows, window.columns};
  }

  template <class T>
  Grid<T> apply(const Grid<T>& stored) const {
    Grid<T> page(transposed ? stored.width : stored.height, transposed ? stored.height : stored.width, stored.channels);
    for (int64_t y = 0; y < page.height; ++y) {
      for (int64_t x = 0; x < page.width; ++x) {
        const int64_t row = flip_rows ? page.height - 1 - y : y, column = flip_columns ? page.width - 1 - x : x;
        const T* from = transposed ? &stored.at(column, row) : &stored.at(row, column);
        std::copy_n(from, stored.channels, &page.at(y, x));
      }
    }
    return page;
  }
};

/// The label that a value stands for; file and stored page are for the error.
int32_t to_label(double value, const std::filesystem::path& path, int64_t page) {
  if (std::abs(value) <= std::numeric_limits<int32_t>::max() && value == std::trunc(value)) {
    return static_cast<int32_t>(value);
  }
  throw DataError(
      concat("read ", path.string(), ", page ", page, ": expected labels that are integers of 32 bits, got ", value));
}

/// Stored pages that make up one page: several where channels are pages of their own.
std::vector<std::vector<int64_t>> gather_channels(const std::vector<StoredPage>& stored, Axes& axes) {
  const auto count = static_cast<int64_t>(stored.size());
  if (stored[0].channels > 1 && axes.channels == stored[0].channels) axes.channels = 1;  // interleaved, as OME counts
  const bool uniform = std::all_of(stored.begin(), stored.end(), [&](const StoredPage& page) {
    return page.height == stored[0].height && page.width == stored[0].width && page.channels == 1 &&
           page.type == stored[0].type && page.inverted == stored[0].inverted &&
           page.orientation == stored[0].orientation;
  });
  const bool gathers = axes.channels > 1 && axes.channels <= kMaxChannels && uniform;
  // A product of three counts below 1e9 can overflow only where one alone already exceeds the number of pages.
  const bool counts_fit = std::max({axes.channels, axes.slices, axes.frames}) <= count && axes.planes() == count;
  if (!counts_fit || (axes.channels > 1 && !gathers)) axes = {1, count, 1, "CZT"};

  std::vector<std::vector<int64_t>> pages(static_cast<size_t>(axes.slices * axes.frames));
  for (int64_t plane = 0; plane < count; ++plane) {
    int64_t remaining = plane, slice = 0, frame = 0;
    for (const char axis : axes.order) {
      const int64_t extent = axis == 'C' ? axes.channels : axis == 'Z' ? axes.slices : axes.frames;
      if (axis == 'Z') slice = remaining % extent;
      if (axis == 'T') frame = remaining % extent;
      remaining /= extent;
    }
    pages[static_cast<size_t>(frame * axes.slices + slice)].push_back(plane);
  }
  return pages;
}

}  // namespace

struct ImageReader::State {
  State(const std::filesystem::path& file, ReaderOptions reader_options)
      : path(file),
        options(reader_options),
        source(open_source(file)),
        cache(*source, options.cache_bytes),
        metadata(source->metadata()),
        notes(source->notes()),
        pages(gather_channels(source->pages(), metadata.axes)) {
    for (size_t page = 0; page < pages.size(); ++page) {
      const StoredPage& stored = source->pages()[static_cast<size_t>(pages[page][0])];
      const Orientation orientation(stored.orientation);
      PageInfo info{stored.height, stored.width,     stored.channels * static_cast<int64_t>(pages[page].size()),
                    stored.type,   stored.has_alpha, concat(stored.type.name(), ", ", stored.encoding)};
      if (orientation.transposed) std::swap(info.height, info.width);
      if (stored.inverted) info.encoding += ", white is zero: inverted";
      if (!orientation.is_identity()) info.encoding += concat(", orientation ", stored.orientation, ": applied");
      infos.push_back(std::move(info));
    }
    if (Orientation(source->pages()[0].orientation).transposed) {
      std::swap(metadata.pixel_size.width_um, metadata.pixel_size.height_um);
    }
  }

  const PageInfo& info(int64_t page) const {
    if (page >= 0 && page < std::ssize(infos)) return infos[static_cast<size_t>(page)];
    throw ShapeError(concat("read ", path.string(), ": expected page 0 .. ", infos.size() - 1, ", got ", page));
  }

  /// Copies `window` of a stored page to channels `first_channel`, ... of `out`, which has the window's size.
  template <class T>
  void copy(int64_t page, const Window& window, int64_t first_channel, Grid<T>& out);
  template <class T>
  void copy_chunk(const ChunkIndex& index, const Window& window, int64_t first_channel, Grid<T>& out);

  template <class T>
  Grid<T> read(int64_t page, const Window& window);

  std::filesystem::path path;
  ReaderOptions options;
  std::unique_ptr<ImageSource> source;
  ChunkCache cache;
  ImageMetadata metadata;
  std::vector<std::string> notes;
  std::vector<std::vector<int64_t>> pages;  // stored pages of each page, in order of channels
  std::vector<PageInfo> infos;
};

template <class T>
void ImageReader::State::copy(int64_t page, const Window& window, int64_t first_channel, Grid<T>& out) {
  const StoredPage& stored = source->pages()[static_cast<size_t>(page)];
  const int64_t last_row = (window.top + window.rows - 1) / stored.chunk_height;
  const int64_t last_column = (window.left + window.columns - 1) / stored.chunk_width;
  for (int64_t plane = 0; plane < stored.channel_planes; ++plane) {
    for (int64_t row = window.top / stored.chunk_height; row <= last_row; ++row) {
      for (int64_t column = window.left / stored.chunk_width; column <= last_column; ++column) {
        copy_chunk({page, plane, row, column}, window, first_channel + plane, out);
      }
    }
  }
}

template <class T>
void ImageReader::State::copy_chunk(const ChunkIndex& index, const Window& window, int64_t first_channel,
                                    Grid<T>& out) {
  using Unpacked = std::conditional_t<std::is_same_v<T, int32_t>, double, T>;  // double holds every label exactly
  const StoredPage& stored = source->pages()[static_cast<size_t>(index.page)];
  const std::span<const std::byte> chunk = cache.get(index);
  const int64_t samples = stored.samples_per_chunk();
  const int64_t chunk_top = index.row * stored.chunk_height, chunk_left = index.column * stored.chunk_width;
  const int64_t top = std::max(window.top, chunk_top), left = std::max(window.left, chunk_left);
  const int64_t bottom = std::min(window.top + window.rows, chunk_top + stored.chunk_height);
  const int64_t columns = std::min(window.left + window.columns, chunk_left + stored.chunk_width) - left;
  std::vector<Unpacked> row(static_cast<size_t>(columns * samples));
  for (int64_t y = top; y < bottom; ++y) {
    T* to = &out.at(y - window.top, left - window.left, first_channel);
    const auto unpack_to = [&](auto* values) {
      unpack_samples(&chunk[static_cast<size_t>((y - chunk_top) * stored.row_bytes())], stored.type, stored.inverted,
                     (left - chunk_left) * samples, columns * samples, values);
    };
    if constexpr (std::is_same_v<T, Unpacked>) {
      if (samples == out.channels) {
        unpack_to(to);
        continue;
      }
    }
    unpack_to(row.data());
    for (int64_t x = 0; x < columns; ++x) {
      for (int64_t c = 0; c < samples; ++c) {
        const Unpacked value = row[static_cast<size_t>(x * samples + c)];
        if constexpr (std::is_same_v<T, int32_t>) {
          to[x * out.channels + c] = to_label(value, path, index.page);
        } else {
          to[x * out.channels + c] = value;
        }
      }
    }
  }
}

template <class T>
Grid<T> ImageReader::State::read(int64_t page, const Window& window) {
  const PageInfo& info = this->info(page);
  if (window.top < 0 || window.left < 0 || window.rows < 1 || window.columns < 1 ||
      window.rows > info.height - window.top || window.columns > info.width - window.left) {
    throw ShapeError(concat("read ", path.string(), ": expected a window inside ", info.height, " x ", info.width,
                            ", got ", window.rows, " x ", window.columns, " at row ", window.top, ", column ",
                            window.left));
  }
  const int64_t bytes = window.rows * window.columns * info.channels * static_cast<int64_t>(sizeof(T));
  if (bytes > options.max_read_bytes) {
    throw OutOfMemory(
        concat("read ", path.string(), ": ", window.rows, " x ", window.columns, " x ", info.channels, " pixels need ",
               bytes, " bytes, the limit is ", options.max_read_bytes, "; read smaller windows"),
        static_cast<size_t>(bytes), static_cast<size_t>(options.max_read_bytes));
  }
  const std::vector<int64_t>& parts = pages[static_cast<size_t>(page)];
  const Orientation orientation(source->pages()[static_cast<size_t>(parts[0])].orientation);
  const Window stored_window = orientation.to_stored(window, info.height, info.width);
  Grid<T> grid(stored_window.rows, stored_window.columns, info.channels);
  for (size_t c = 0; c < parts.size(); ++c) {
    copy(parts[c], stored_window, static_cast<int64_t>(c), grid);
  }
  return orientation.is_identity() ? std::move(grid) : orientation.apply(grid);
}

ImageReader::ImageReader(const std::filesystem::path& path, ReaderOptions options)
    : state_(std::make_unique<State>(path, options)) {}
ImageReader::ImageReader(ImageReader&&) noexcept = default;
ImageReader& ImageReader::operator=(ImageReader&&) noexcept = default;
ImageReader::~ImageReader() = default;

const std::filesystem::path& ImageReader::path() const { return state_->path; }
int64_t ImageReader::pages() const { return std::ssize(state_->pages); }
const PageInfo& ImageReader::info(int64_t page) const { return state_->info(page); }
const ImageMetadata& ImageReader::metadata() const { return state_->metadata; }
const std::vector<std::string>& ImageReader::notes() const { return state_->notes; }

Image ImageReader::read(int64_t page, const Window& window) {
  Image image = state_->read<float>(page, window);
  if (state_->options.allow_non_finite || info(page).type.is_integer()) return image;
  int64_t count = 0, first = 0;
  for (int64_t i = std::ssize(image.data) - 1; i >= 0; --i) {
    if (std::isfinite(image.data[static_cast<size_t>(i)])) continue;
    first = i;
    ++count;
  }
  if (count > 0) {
    const int64_t pixel = first / image.channels;
    throw DataError(concat("read ", path().string(), ", page ", page, ": ", count,
                           " values are NaN or infinite, the first at row ", window.top + pixel / image.width,
                           ", column ", window.left + pixel % image.width, "; replace them in the file"));
  }
  return image;
}

LabelMap ImageReader::read_labels(int64_t page, const Window& window) { return state_->read<int32_t>(page, window); }

Image ImageReader::read(int64_t page) { return read(page, {0, 0, info(page).height, info(page).width}); }

LabelMap ImageReader::read_labels(int64_t page) {
  return read_labels(page, {0, 0, info(page).height, info(page).width});
}

}  // namespace unet
