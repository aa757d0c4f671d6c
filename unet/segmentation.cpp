#include "unet/segmentation.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <sstream>

#include "unet/image_reader.h"
#include "unet/image_writer.h"
#include "unet/output_file.h"
#include "unet/picture.h"
#include "unet/png_io.h"
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

/// What a page's results are made of, top to bottom.
class PageSink {
 public:
  virtual ~PageSink() = default;
  virtual void band(int64_t page, int64_t top, const Image& probabilities) = 0;
  virtual void page_done(int64_t page) = 0;
  virtual void commit() = 0;
};

/// The class of each pixel of a band under the options' threshold.
LabelMap classify(const Image& probabilities, double threshold) {
  if (probabilities.channels != 2) return most_probable(probabilities);
  LabelMap labels(probabilities.height, probabilities.width);
  for (size_t i = 0; i < labels.data.size(); ++i) labels.data[i] = probabilities.data[2 * i + 1] >= threshold ? 1 : 0;
  return labels;
}

Image channel(const Image& image, int64_t c) {
  Image out(image.height, image.width);
  for (size_t i = 0; i < out.data.size(); ++i) {
    out.data[i] = image.data[i * static_cast<size_t>(image.channels) + static_cast<size_t>(c)];
  }
  return out;
}

/// Everything the sinks share about one input file.
struct Job {
  const Model& model;
  ImageReader& reader;
  const SegmentationOptions& options;

  WriterOptions writer_options(int64_t pages, SampleType type) const {
    const PageInfo& info = reader.info(0);
    WriterOptions o{.pages = pages, .height = info.height, .width = info.width, .type = type};
    if (pages == reader.pages()) o.metadata = reader.metadata();
    o.metadata.pixel_size = reader.metadata().pixel_size;
    o.metadata.axes.channels = 1;
    return o;
  }
};

/// With more than two classes a page of the input becomes a page a class; those after the first wait in memory.
class ProbabilitySink final : public PageSink {
 public:
  ProbabilitySink(const Job& job, const fs::path& file)
      : classes_(job.model.info.network.classes),
        writer_(file,
                job.writer_options(classes_ == 2 ? job.reader.pages() : job.reader.pages() * classes_, kFloat32)) {}
  void band(int64_t, int64_t, const Image& p) override {
    if (classes_ == 2) return writer_.write_rows(channel(p, 1));
    writer_.write_rows(channel(p, 0));
    for (int64_t c = 1; c < classes_; ++c) waiting_.push_back({c, channel(p, c)});
  }
  void page_done(int64_t) override {
    std::stable_sort(waiting_.begin(), waiting_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [c, band] : waiting_) writer_.write_rows(band);
    waiting_.clear();
  }
  void commit() override { writer_.commit(); }

 private:
  int64_t classes_;
  ImageWriter writer_;
  std::vector<std::pair<int64_t, Image>> waiting_;
};

class ClassesSink final : public PageSink {
 public:
  ClassesSink(const Job& job, const fs::path& file)
      : threshold_(job.options.threshold), writer_(file, job.writer_options(job.reader.pages(), kUint8)) {
    const std::vector<int64_t>& values = job.model.info.class_values;
    const bool fit = values.size() == static_cast<size_t>(job.model.info.network.classes) &&
                     std::all_of(values.begin(), values.end(), [](int64_t v) { return v >= 0 && v <= 255; });
    for (int64_t c = 0; c < job.model.info.network.classes; ++c) {
      values_.push_back(static_cast<int32_t>(fit ? values[static_cast<size_t>(c)] : c));
    }
  }
  void band(int64_t, int64_t, const Image& p) override {
    LabelMap labels = classify(p, threshold_);
    for (int32_t& v : labels.data) v = values_[static_cast<size_t>(v)];
    writer_.write_rows(labels);
  }
  void page_done(int64_t) override {}
  void commit() override { writer_.commit(); }

 private:
  double threshold_;
  std::vector<int32_t> values_;
  ImageWriter writer_;
};

/// Instances with at least the wanted area, numbered anew from 1.
Components large_components(const LabelMap& classes, const SegmentationOptions& options) {
  Components found = connected_components(classes, options.connectivity);
  if (options.min_area_px <= 1) return found;
  std::vector<int64_t> area(static_cast<size_t>(found.count) + 1);
  for (const int32_t id : found.ids.data) ++area[static_cast<size_t>(id)];
  std::vector<int32_t> renamed(area.size(), 0);
  found.count = 0;
  for (size_t id = 1; id < area.size(); ++id) {
    if (area[id] >= options.min_area_px) renamed[id] = ++found.count;
  }
  for (int32_t& id : found.ids.data) id = renamed[static_cast<size_t>(id)];
  return found;
}

std::vector<ObjectRow> measure(const LabelMap& ids, int32_t count, const Image& image, int64_t page) {
  std::vector<ObjectRow> rows(static_cast<size_t>(count));
  std::vector<int64_t> right(rows.size()), bottom(rows.size());
  for (int64_t y = 0; y < ids.height; ++y) {
    for (int64_t x = 0; x < ids.width; ++x) {
      const int32_t id = ids.at(y, x);
      if (id == 0) continue;
      const auto i = static_cast<size_t>(id - 1);
      ObjectRow& row = rows[i];
      if (row.area_px == 0) row.page = page, row.id = id, row.left = x, row.top = y, right[i] = x;
      ++row.area_px;
      row.centroid_x += static_cast<double>(x);
      row.centroid_y += static_cast<double>(y);
      row.mean_intensity += static_cast<double>(image.at(y, x));
      row.left = std::min(row.left, x);
      right[i] = std::max(right[i], x);
      bottom[i] = y;
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto area = static_cast<double>(rows[i].area_px);
    rows[i].centroid_x /= area, rows[i].centroid_y /= area, rows[i].mean_intensity /= area;
    rows[i].width = right[i] - rows[i].left + 1, rows[i].height = bottom[i] - rows[i].top + 1;
  }
  return rows;
}

std::string csv(const std::vector<ObjectRow>& rows) {
  std::ostringstream out;
  out << "page,id,area_px,centroid_x_px,centroid_y_px,left_px,top_px,width_px,height_px,mean_intensity\n";
  for (const ObjectRow& r : rows) {
    out << r.page << ',' << r.id << ',' << r.area_px << ',' << r.centroid_x << ',' << r.centroid_y << ',' << r.left
        << ',' << r.top << ',' << r.width << ',' << r.height << ',' << r.mean_intensity << '\n';
  }
  return out.str();
}

/// The results that need a whole page: instances, objects, overlay.
class WholePageSink final : public PageSink {
 public:
  WholePageSink(const Job& job, const fs::path& instances, const fs::path& objects, const fs::path& overlay)
      : job_(job), instances_(instances), objects_(objects), overlay_(overlay) {
    // Ids of all pages share one sample type; 16 bits hold what images of this size can have in practice.
    const PageInfo& info = job.reader.info(0);
    type_ = info.height * info.width > (int64_t{1} << 24) ? kUint32 : kUint16;
    if (!instances.empty())
      writer_ = std::make_unique<ImageWriter>(instances, job.writer_options(job.reader.pages(), type_));
  }
  void band(int64_t page, int64_t top, const Image& p) override {
    const PageInfo& info = job_.reader.info(page);
    if (top == 0) page_ = Image(info.height, info.width, p.channels);
    std::copy(p.data.begin(), p.data.end(), &page_.at(top, 0));
  }
  void page_done(int64_t page) override {
    const Image image = job_.reader.read(page);
    if (writer_ || !objects_.empty()) {
      const Components found = large_components(classify(page_, job_.options.threshold), job_.options);
      if (type_ == kUint16 && found.count > 65535) {
        throw DataError(concat("instances: ", found.count, " objects on page ", page,
                               " are more than 16 bits can number; raise --min-area"));
      }
      if (writer_) writer_->write_rows(found.ids);
      if (!objects_.empty()) {
        const std::vector<ObjectRow> rows = measure(found.ids, found.count, image, page);
        rows_.insert(rows_.end(), rows.begin(), rows.end());
      }
    }
    if (!overlay_.empty()) {
      Image unit = image;
      const auto [low, high] = std::minmax_element(unit.data.begin(), unit.data.end());
      const float black = *low, range = std::max(*high - *low, 1e-20F);
      for (float& v : unit.data) v = (v - black) / range;
      pictures_.push_back(encode_png(overlay_picture(unit, classify(page_, job_.options.threshold))));
    }
  }
  void commit() override {
    if (writer_) writer_->commit();
    if (!objects_.empty()) write_file(objects_, csv(rows_));
    for (size_t i = 0; i < pictures_.size(); ++i) {
      fs::path path = overlay_;
      if (pictures_.size() > 1) path.replace_filename(concat(overlay_.stem().string(), "_", i, ".png"));
      write_file(path, pictures_[i]);
    }
  }

 private:
  const Job& job_;
  fs::path instances_, objects_, overlay_;
  SampleType type_;
  std::unique_ptr<ImageWriter> writer_;
  Image page_;  // probabilities
  std::vector<ObjectRow> rows_;
  std::vector<std::string> pictures_;
};

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

}  // namespace

fs::path output_path(const fs::path& folder, const fs::path& input, Output output) {
  const char* extension = output == Output::overlay ? ".png" : output == Output::objects ? ".csv" : ".tif";
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

  const Job job{model, reader, options};
  std::vector<std::unique_ptr<PageSink>> sinks;
  const auto file_of = [&](Output output) -> fs::path {
    for (size_t i = 0; i < options.outputs.size(); ++i) {
      if (options.outputs[i] == output) return files[i];
    }
    return {};
  };
  if (const fs::path f = file_of(Output::probability); !f.empty())
    sinks.push_back(std::make_unique<ProbabilitySink>(job, f));
  if (const fs::path f = file_of(Output::classes); !f.empty()) sinks.push_back(std::make_unique<ClassesSink>(job, f));
  const fs::path instances = file_of(Output::instances), objects = file_of(Output::objects);
  const fs::path overlay = file_of(Output::overlay);
  if (!instances.empty() || !objects.empty() || !overlay.empty()) {
    sinks.push_back(std::make_unique<WholePageSink>(job, instances, objects, overlay));
  }

  // What is left for tiles: the whole less what is there already, what reading and writing keep, and a reserve.
  const Size size{reader.info(0).height, reader.info(0).width};
  InferenceOptions inference = options.inference;
  engine::Arena& arena = model.network.device()->arena();
  arena.trim();  // what the file before needed for its tiles counts as free
  const size_t others = resident_bytes() + cache_bytes + kReserveBytes;
  const size_t left = total > others ? total - others : 0;
  inference.max_memory_bytes = left / 2;  // the other half: convolution scratch and packed filters
  if (model.network.device()->uses_host_memory()) {
    arena.set_limit(arena.bytes_in_use() + left);
  } else {
    const size_t available = model.network.device()->available_bytes();
    inference.max_memory_bytes = std::min(inference.max_memory_bytes, available / 2);
    arena.set_limit(options.max_memory_bytes);
  }

  const auto pages = reader.pages();
  for (int64_t page = 0; page < pages; ++page) {
    const PixelScaling& scaling = scalings[static_cast<size_t>(page)];
    const ReadWindow read = [&](const Rect& r) {
      Image window = reader.read(page, {r.y, r.x, r.height, r.width});
      scaling.apply(window);
      return window;
    };
    const WriteBand write = [&](int64_t top, const Image& p) {
      for (const auto& sink : sinks) sink->band(page, top, p);
    };
    inference.tile = predict(model.network, size, read, inference, write, [&](int64_t done, int64_t count) {
      if (progress) progress(page * count + done, pages * count);
    });
    for (const auto& sink : sinks) sink->page_done(page);
  }
  for (const auto& sink : sinks) sink->commit();
}

}  // namespace unet
