#include "unet/segmentation.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <numeric>

#include "unet/image_reader.h"
#include "unet/page_sinks.h"
#include "unet/readable.h"
#include "unet/rescaling.h"
#include "unet/scaling.h"

namespace unet {
namespace {

namespace fs = std::filesystem;

constexpr size_t kReserveBytes = size_t{48} << 20;  // code, libraries, small things

/// Bytes of memory that this process occupies now.
size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

size_t machine_bytes() {
  return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

void check_pages(const Model& model, const ImageReader& reader) {
  const int64_t channels = model.info.network.in_channels;
  for (int64_t page = 0; page < reader.pages(); ++page) {
    const PageInfo& info = reader.info(page);
    if (info.channels != channels) {
      throw DataError(concat(reader.path().string(), ": page ", page, " has ", info.channels,
                             " channels, the model was trained on ", channels));
    }
    if (info.height != reader.info(0).height || info.width != reader.info(0).width) {
      throw DataError(concat(reader.path().string(), ": page ", page, " is ", info.height, "x", info.width,
                             ", page 0 is ", reader.info(0).height, "x", reader.info(0).width,
                             "; split the file into pages of one size"));
    }
  }
}

std::vector<int64_t> chosen_pages(const std::vector<int64_t>& asked, const ImageReader& reader) {
  std::vector<int64_t> pages = asked;
  if (pages.empty()) {
    pages.resize(static_cast<size_t>(reader.pages()));
    std::iota(pages.begin(), pages.end(), int64_t{0});
  }
  const bool ascending = std::adjacent_find(pages.begin(), pages.end(), std::greater_equal<>()) == pages.end();
  if (!ascending || pages.front() < 0 || pages.back() >= reader.pages()) {
    throw ConfigError(concat(reader.path().string(), ": expected pages from 0 to ", reader.pages() - 1,
                             " in ascending order, got ", pages.front(), " .. ", pages.back()));
  }
  return pages;
}

/// Size at which the network sees a page. scale 0: pixels as large as in training.
Size scaled_size(Size page, const Model& model, const ImageReader& reader, double scale) {
  double rows = scale, columns = scale;
  if (scale == 0) {
    const PixelSize trained = model.info.pixel_size, here = reader.metadata().pixel_size;
    if (!trained.known() || !here.known()) {
      throw DataError(concat(reader.path().string(),
                             ": --scale auto needs the pixel sizes of the training images and of "
                             "this image, ",
                             trained.known() ? "this image" : "the model",
                             " does not tell them; give a factor, such as --scale 1"));
    }
    rows = here.height_um / trained.height_um, columns = here.width_um / trained.width_um;
  }
  return rescaled_size(page, rows * model.info.scale, columns * model.info.scale);
}

}  // namespace

fs::path output_path(const fs::path& folder, const fs::path& input, Output output) {
  const char* extension = output == Output::overlay   ? ".png"
                          : output == Output::objects ? ".csv"
                          : output == Output::rois    ? ".zip"
                                                      : ".tif";
  return folder / concat(input.stem().string(), "_", name_of(output), extension);
}

void segment_file(const Model& model, const fs::path& input, const std::vector<fs::path>& files,
                  const SegmentationOptions& options, const TileProgress& progress) {
  const size_t total = options.max_memory_bytes > 0 ? options.max_memory_bytes : machine_bytes() / 2;
  // Room for a band of decoded strips, so that the tiles beside each other do not decode them again.
  const size_t cache_bytes = std::clamp(total / 8, size_t{16} << 20, size_t{256} << 20);
  ImageReader reader(input, {.cache_bytes = static_cast<int64_t>(cache_bytes)});
  check_pages(model, reader);
  const std::vector<PixelScaling> scalings = pixel_scalings(model.info.normalisation, reader);

  const SegmentationJob job{model, reader, options, chosen_pages(options.pages, reader)};
  const std::vector<std::unique_ptr<PageSink>> sinks = make_sinks(job, files);

  // What is left for tiles: the whole less what is there already, what reading and writing keep, and a reserve.
  const Size size{reader.info(0).height, reader.info(0).width};
  const Size scaled = scaled_size(size, model, reader, options.scale);
  InferenceOptions inference = options.inference;
  engine::Arena& arena = model.network.device()->arena();
  arena.trim();  // what the file before needed for its tiles counts as free
  const size_t others = resident_bytes() + cache_bytes + kReserveBytes;
  const size_t whole_page = whole_page_bytes(options.outputs, reader.info(0));
  const bool tiles_on_host = model.network.device()->uses_host_memory();
  if (tiles_on_host && total <= others) {
    throw OutOfMemory(concat(input.string(), ": the program, the model and reading take ", bytes_text(others), " of ",
                             bytes_text(total), ", which leaves nothing for tiles; raise --max-memory"),
                      others, total);
  }
  const size_t free = total > others ? total - others : 0;
  if (whole_page > free) {
    throw OutOfMemory(concat(input.string(), ": instances, objects, rois and overlay hold a whole page in memory, ",
                             bytes_text(whole_page), " with ", bytes_text(free),
                             " free; raise --max-memory, or write probability or classes, which need no whole page"),
                      whole_page, free);
  }
  const size_t left = free - whole_page;
  inference.max_memory_bytes = left / 2;  // the other half: convolution scratch and packed filters
  if (tiles_on_host) {
    arena.set_limit(arena.bytes_in_use() + left);
  } else {
    const size_t available = model.network.device()->available_bytes();
    inference.max_memory_bytes = std::min(inference.max_memory_bytes, available / 2);
    arena.set_limit(options.max_memory_bytes);
  }

  const int64_t pages = std::ssize(job.pages);
  for (int64_t i = 0; i < pages; ++i) {
    const int64_t page = job.pages[static_cast<size_t>(i)];
    const PixelScaling& scaling = scalings[static_cast<size_t>(page)];
    const ReadWindow read = [&](const Rect& r) {
      Image window = reader.read(page, {r.y, r.x, r.height, r.width});
      scaling.apply(window);
      return window;
    };
    const WriteBand write = [&](int64_t top, const Image& p) {
      for (const auto& sink : sinks) sink->band(page, top, p);
    };
    inference.tile = predict(model.network, scaled, rescaled(read, size, scaled), inference,
                             rescaled(write, scaled, size), [&](int64_t done, int64_t count) {
                               if (progress) progress(i * count + done, pages * count);
                             });
    for (const auto& sink : sinks) sink->page_done(page);
  }
  for (const auto& sink : sinks) sink->commit();
}

}  // namespace unet
