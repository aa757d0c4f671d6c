#include "unet/labels.h"

#include <algorithm>
#include <memory>
#include <sstream>

#include "kernels/error.h"
#include "unet/components.h"

namespace unet {
namespace {

constexpr size_t kMaxClasses = 255;
constexpr size_t kMaxDetectedClasses = 16;

std::string percent(int64_t part, int64_t whole) {
  std::ostringstream text;
  text.precision(2);
  text << std::fixed << 100.0 * static_cast<double>(part) / static_cast<double>(whole) << " %";
  return text.str();
}

/// Pixels of each value. Labels come in long runs, so that the map is asked far less than once a pixel.
std::map<int32_t, int64_t> count_values(const LabelMap& labels) {
  std::map<int32_t, int64_t> counts;
  for (auto run = labels.data.begin(); run != labels.data.end();) {
    const int32_t value = *run;
    const auto end = std::find_if(run, labels.data.end(), [&](int32_t other) { return other != value; });
    counts[value] += end - run;
    run = end;
  }
  return counts;
}

/// Into how many regions the values above 0 fall: a label map has one or a few of each value, an image very many.
struct Regions {
  int64_t values = 0, regions = 0;  // counted on each page

  void add(LabelMap labels, const std::map<int32_t, int64_t>& counts, int64_t ignore) {
    std::replace_if(
        labels.data.begin(), labels.data.end(), [ignore](int32_t value) { return value == ignore; }, 0);
    values += std::count_if(counts.begin(), counts.end(),
                            [ignore](const auto& count) { return count.first > 0 && count.first != ignore; });
    regions += connected_components(labels, Connectivity::eight).count;
  }
  bool are_of_an_image() const { return regions > 10 * values; }
};

}  // namespace

int32_t LabelSurvey::class_of(int32_t value) const {
  const auto found = std::find(class_values.begin(), class_values.end(), value);
  return found == class_values.end() ? -1 : static_cast<int32_t>(found - class_values.begin());
}

void LabelSurvey::translate(LabelMap& labels) const {
  for (int32_t& value : labels.data) {
    if (ignore >= 0 && value == ignore) {
      value = -1;
    } else if (kind == LabelKind::classes) {
      const int32_t found = class_of(value);
      if (found < 0) {
        throw DataError(concat("read labels: value ", value, " is none of the ", class_values.size(), " classes"));
      }
      value = found;
    } else if (value < 0) {
      throw DataError(concat("read labels: expected instance ids from 0, got ", value));
    }
  }
}

std::string LabelSurvey::describe() const {
  int64_t pixels = 0, ignored = 0;
  for (const auto& [value, count] : histogram) {
    pixels += count;
    if (ignore >= 0 && value == ignore) ignored = count;
  }
  std::ostringstream text;
  text << "labels: " << name_of(kind) << (detected ? " (detected; force with --labels)" : " (as configured)") << "\n";
  if (kind == LabelKind::classes) {
    for (size_t c = 0; c < class_values.size(); ++c) {
      text << "  class " << c << " is value " << class_values[c] << ": "
           << percent(histogram.at(class_values[c]), pixels) << "\n";
    }
  } else {
    const auto background = histogram.find(0);
    const int64_t background_pixels = background == histogram.end() ? 0 : background->second;
    text << "  " << objects << " objects: " << percent(pixels - ignored - background_pixels, pixels)
         << ", background: " << percent(background_pixels, pixels) << "\n";
  }
  if (ignore >= 0) text << "  ignored (value " << ignore << "): " << percent(ignored, pixels) << "\n";
  return text.str();
}

LabelMap read_label_values(ImageReader& reader, int64_t page) {
  const PageInfo& info = reader.info(page);
  LabelMap all = reader.read_labels(page);
  if (info.channels == 1) return all;
  const int64_t channels = info.channels - (info.has_alpha ? 1 : 0);
  LabelMap labels(all.height, all.width);
  for (int64_t i = 0; i < all.pixels(); ++i) {
    const int32_t* values = &all.data[static_cast<size_t>(i * all.channels)];
    for (int64_t c = 1; c < channels; ++c) {
      if (values[c] != values[0]) {
        throw DataError(concat("read labels ", reader.path().string(), ", page ", page,
                               ": expected one channel or equal ones, got different values at row ", i / all.width,
                               ", column ", i % all.width));
      }
    }
    labels.data[static_cast<size_t>(i)] = values[0];
  }
  return labels;
}

LabelSurvey survey_labels(const std::vector<InputPage>& pages, const DataConfig& config) {
  LabelSurvey survey;
  survey.ignore = config.ignore;
  std::unique_ptr<ImageReader> reader;
  Regions regions;     // on pages of many values
  bool narrow = true;  // all files have at most 8 bits
  for (const InputPage& page : pages) {
    if (!reader || reader->path() != page.file) reader = std::make_unique<ImageReader>(page.file);
    narrow = narrow && page.info.type.bits <= 8;
    const LabelMap labels = read_label_values(*reader, page.page);
    const std::map<int32_t, int64_t> counts = count_values(labels);
    if (counts.size() > kMaxDetectedClasses) regions.add(labels, counts, survey.ignore);
    for (const auto& [value, count] : counts) {
      survey.histogram[value] += count;
      if (value > 0 && value != survey.ignore) ++survey.objects;
    }
  }
  std::vector<int32_t> values;
  for (const auto& [value, count] : survey.histogram) {
    if (survey.ignore < 0 || value != survey.ignore) values.push_back(value);
  }
  if (values.size() < 2) {
    throw DataError(concat("read labels: expected at least two different values, got ",
                           values.empty() ? std::string("only ignored pixels") : concat("only ", values[0])));
  }
  survey.detected = config.labels == LabelKind::automatic;
  survey.kind = config.labels;
  if (survey.detected) {
    if (regions.are_of_an_image()) {
      throw DataError(concat("read labels ", pages.front().file.string(),
                             ": expected one or a few regions of each value, got ", regions.regions / regions.values,
                             " on average, as in an image; are images and labels mixed up? "
                             "Where these are labels, say what they mean: classes or instances"));
    }
    const bool few = values.size() <= (narrow ? kMaxDetectedClasses : 2);
    survey.kind = few ? LabelKind::classes : LabelKind::instances;
  }
  if (survey.kind == LabelKind::instances) {
    if (values[0] < 0) throw DataError(concat("read labels: expected instance ids from 0, got ", values[0]));
    if (config.background > 0) {
      throw DataError(concat("data.background: expected 0 or none with instances, got ", config.background,
                             "; if these are classes, force that with --labels PATH classes"));
    }
    return survey;
  }
  if (values.size() > kMaxClasses) {
    throw DataError(concat("read labels: expected at most ", kMaxClasses, " classes, got ", values.size(),
                           " different values; are these instances?"));
  }
  if (config.background >= 0) {
    const auto background = std::find(values.begin(), values.end(), config.background);
    if (background == values.end()) {
      throw DataError(concat("data.background: expected a value of the labels, got ", config.background, "; they have ",
                             values.front(), " to ", values.back()));
    }
    std::rotate(values.begin(), background, background + 1);
  }
  survey.class_values = std::move(values);
  survey.objects = 0;
  return survey;
}

}  // namespace unet
