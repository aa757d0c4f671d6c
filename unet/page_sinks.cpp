#include "unet/page_sinks.h"

#include <algorithm>
#include <cmath>

#include "unet/image_writer.h"
#include "unet/imagej_roi.h"
#include "unet/object_table.h"
#include "unet/output_file.h"
#include "unet/picture.h"
#include "unet/png_io.h"
#include "unet/zip_writer.h"

namespace unet {
namespace {

namespace fs = std::filesystem;

/// The class of each pixel of a band under the options' threshold.
LabelMap classify(const Image& probabilities, double threshold) {
  if (probabilities.channels != 2) return most_probable(probabilities);
  LabelMap labels(probabilities.height, probabilities.width);
  for (size_t i = 0; i < labels.data.size(); ++i) labels.data[i] = probabilities.data[2 * i + 1] >= threshold ? 1 : 0;
  return labels;
}

/// One channel, each value times `factor`.
Image channel(const Image& image, int64_t c, float factor) {
  Image out(image.height, image.width);
  for (size_t i = 0; i < out.data.size(); ++i) {
    out.data[i] = factor * image.data[i * static_cast<size_t>(image.channels) + static_cast<size_t>(c)];
  }
  return out;
}

/// Of a file with `copies` pages for each segmented one.
WriterOptions writer_options(const SegmentationJob& job, SampleType type, int64_t copies = 1) {
  const PageInfo& info = job.reader.info(0);
  const int64_t pages = copies * std::ssize(job.pages);
  WriterOptions o{.pages = pages, .height = info.height, .width = info.width, .type = type};
  if (copies == 1 && pages == job.reader.pages()) o.metadata = job.reader.metadata();
  o.metadata.pixel_size = job.reader.metadata().pixel_size;
  o.metadata.axes.channels = 1;
  return o;
}

/// With more than two classes a page of the input becomes a page a class; those after the first wait in memory.
class ProbabilitySink final : public PageSink {
 public:
  ProbabilitySink(const SegmentationJob& job, const fs::path& file)
      : classes_(job.model.info.network.classes),
        one_(job.options.probability_type.white()),
        writer_(file, writer_options(job, job.options.probability_type, classes_ == 2 ? 1 : classes_)) {}
  void band(int64_t, int64_t, const Image& p) override {
    if (classes_ == 2) return writer_.write_rows(channel(p, 1, one_));
    writer_.write_rows(channel(p, 0, one_));
    for (int64_t c = 1; c < classes_; ++c) waiting_.push_back({c, channel(p, c, one_)});
  }
  void page_done(int64_t) override {
    std::stable_sort(waiting_.begin(), waiting_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [c, band] : waiting_) writer_.write_rows(band);
    waiting_.clear();
  }
  void commit() override { writer_.commit(); }

 private:
  int64_t classes_;
  float one_;  // what stands for a probability of one
  ImageWriter writer_;
  std::vector<std::pair<int64_t, Image>> waiting_;
};

class ClassesSink final : public PageSink {
 public:
  ClassesSink(const SegmentationJob& job, const fs::path& file)
      : threshold_(job.options.threshold), writer_(file, writer_options(job, kUint8)) {
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

/// Number with zeros in front, so that names sort as numbers do.
std::string padded(int64_t number, size_t digits) {
  const std::string text = std::to_string(number);
  return std::string(digits - std::min(digits, text.size()), '0') + text;
}

/// An archive of ROIs named PAGE-ID, both from 1.
class RoiSink {
 public:
  RoiSink(const SegmentationJob& job, const fs::path& file) : job_(job), zip_(file) {}
  void add_page(int64_t page, const Components& found) {
    const Axes& axes = job_.reader.metadata().axes;
    const auto all = trace_outlines(found.ids, found.count, job_.options.instances.connectivity);
    for (size_t i = 0; i < all.size(); ++i) {
      ImagejRoi roi{.name = concat(padded(page + 1, 4), "-", padded(static_cast<int64_t>(i + 1), 5)),
                    .page = page,
                    .is_hyperstack = axes.slices > 1 && axes.frames > 1,
                    .outlines = all[i]};
      const bool slices_first = axes.order.find('Z') < axes.order.find('T');
      roi.slice = slices_first ? page % axes.slices : page / axes.frames;
      roi.frame = slices_first ? page / axes.slices : page % axes.frames;
      zip_.add(roi.name + ".roi", encode_roi(roi));
    }
  }
  void commit() { zip_.commit(); }

 private:
  const SegmentationJob& job_;
  ZipWriter zip_;
};

bool needs_page(Output output) { return output != Output::probability && output != Output::classes; }

/// The image with its gray values spread over [0,1] for looking at it: of 1000 values the lowest and the highest one
/// become black and white at least, for single bright pixels would leave all others dark.
Image stretched(Image image) {
  std::vector<float> values = image.data;
  const auto aside = static_cast<ptrdiff_t>(values.size() / 1000);
  std::nth_element(values.begin(), values.begin() + aside, values.end());
  const float black = values[static_cast<size_t>(aside)];
  std::nth_element(values.begin(), values.end() - 1 - aside, values.end());
  const float white = *(values.end() - 1 - aside), range = white > black ? white - black : 1;
  for (float& v : image.data) v = (v - black) / range;
  return image;
}

/// The results that need a whole page: instances, objects, ROIs, overlay.
class WholePageSink final : public PageSink {
 public:
  WholePageSink(const SegmentationJob& job, const std::vector<fs::path>& files) : job_(job) {
    const std::vector<Output>& outputs = job.options.outputs;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i] == Output::objects) objects_ = files[i];
      if (outputs[i] == Output::overlay) overlay_ = files[i];
      if (outputs[i] == Output::rois) rois_ = std::make_unique<RoiSink>(job, files[i]);
      if (outputs[i] == Output::instances) {
        // Ids of all pages share one sample type; 16 bits hold what images of this size can have in practice.
        const PageInfo& info = job.reader.info(0);
        type_ = info.height * info.width > (int64_t{1} << 24) ? kUint32 : kUint16;
        writer_ = std::make_unique<ImageWriter>(files[i], writer_options(job, type_));
      }
    }
  }
  void band(int64_t page, int64_t top, const Image& p) override {
    const PageInfo& info = job_.reader.info(page);
    if (top == 0) {
      classes_ = LabelMap(info.height, info.width);
      if (splits()) probability_ = Image(info.height, info.width);
    }
    const LabelMap labels = classify(p, job_.options.threshold);
    std::copy(labels.data.begin(), labels.data.end(), &classes_.at(top, 0));
    if (!splits()) return;
    for (int64_t y = 0; y < p.height; ++y) {
      for (int64_t x = 0; x < p.width; ++x) probability_.at(top + y, x) = 1 - p.at(y, x);
    }
  }
  void page_done(int64_t page) override {
    const Components found = find_instances(classes_, job_.options.instances, probability_);
    if (writer_ && type_ == kUint16 && found.count > 65535) {
      throw DataError(concat("instances: ", found.count, " objects on page ", page,
                             " are more than 16 bits can number; raise --min-area"));
    }
    if (writer_) writer_->write_rows(found.ids);
    if (rois_) rois_->add_page(page, found);
    if (!objects_.empty()) {
      const std::vector<ObjectRow> rows = measure_objects(found.ids, found.count, job_.reader.read(page), page);
      rows_.insert(rows_.end(), rows.begin(), rows.end());
    }
    if (!overlay_.empty()) {
      LabelMap shown = found.ids;  // colours tell instances that touch apart, or classes where there are several
      if (job_.model.info.network.classes > 2) {
        for (size_t i = 0; i < shown.data.size(); ++i) shown.data[i] = shown.data[i] > 0 ? classes_.data[i] : 0;
      }
      pictures_.push_back(encode_png(overlay_picture(stretched(job_.reader.read(page)), shown)));
    }
  }
  void commit() override {
    if (writer_) writer_->commit();
    if (rois_) rois_->commit();
    if (!objects_.empty()) write_file(objects_, objects_csv(rows_, job_.reader.metadata().pixel_size));
    for (size_t i = 0; i < pictures_.size(); ++i) {
      fs::path path = overlay_;
      const std::string number = padded(job_.pages[i], std::to_string(job_.reader.pages() - 1).size());
      if (pictures_.size() > 1) path.replace_filename(concat(overlay_.stem().string(), "_", number, ".png"));
      write_file(path, pictures_[i]);
    }
  }

 private:
  bool splits() const { return job_.options.instances.split > 0; }

  const SegmentationJob& job_;
  fs::path objects_, overlay_;
  SampleType type_ = kUint16;
  std::unique_ptr<ImageWriter> writer_;
  std::unique_ptr<RoiSink> rois_;
  LabelMap classes_;
  Image probability_;  // of not being background, where instances are split
  std::vector<ObjectRow> rows_;
  std::vector<std::string> pictures_;
};

}  // namespace

bool makes_instances(const std::vector<Output>& outputs) {
  return std::any_of(outputs.begin(), outputs.end(), needs_page);
}

std::vector<std::unique_ptr<PageSink>> make_sinks(const SegmentationJob& job, const std::vector<fs::path>& files) {
  std::vector<std::unique_ptr<PageSink>> sinks;
  const std::vector<Output>& outputs = job.options.outputs;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == Output::probability) sinks.push_back(std::make_unique<ProbabilitySink>(job, files[i]));
    if (outputs[i] == Output::classes) sinks.push_back(std::make_unique<ClassesSink>(job, files[i]));
  }
  if (makes_instances(outputs)) sinks.push_back(std::make_unique<WholePageSink>(job, files));
  return sinks;
}

size_t whole_page_bytes(const std::vector<Output>& outputs, const PageInfo& page) {
  if (!makes_instances(outputs)) return 0;
  // Classes, a copy with its holes filled, the components of the background and of the rest, the probability by which
  // they are split with seeds and parts; the image, its copy and the values that are looked at for contrast.
  return static_cast<size_t>(page.height * page.width) *
         (7 * sizeof(int32_t) + 3 * sizeof(float) * static_cast<size_t>(page.channels));
}

}  // namespace unet
