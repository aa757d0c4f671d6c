#include "unet/figure_parts.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "unet/html.h"
#include "unet/png_io.h"
#include "unet/readable.h"
#include "unet/rescaling.h"

namespace unet {
namespace {

constexpr int64_t kLargestSide = 400;  // px of a picture
constexpr int64_t kPartSide = 48;      // px of a page that are shown magnified

int64_t count_carved(const TrainingPage& page) {
  int64_t carved = 0;
  for (size_t i = 0; i < page.classes.data.size(); ++i) {
    carved += page.instances.data[i] > 0 && page.classes.data[i] == 0 ? 1 : 0;
  }
  return carved;
}

/// Pages with some ignored pixels before others, then the one with most pixels carved between objects.
const TrainingPage& choose_page(const std::vector<TrainingPage>& pages) {
  const auto rank = [](const TrainingPage& page) {
    const auto ignored = std::count(page.classes.data.begin(), page.classes.data.end(), -1);
    return std::pair(ignored > 0 && ignored < page.classes.pixels(), count_carved(page));
  };
  const TrainingPage* best = &pages.front();
  for (const TrainingPage& page : pages) {
    if (rank(page) > rank(*best)) best = &page;
  }
  return *best;
}

/// The part of an image of [H,W] with the largest sum; the middle where all are equal.
Rect richest_part(const Image& value) {
  const int64_t height = std::min(kPartSide, value.height), width = std::min(kPartSide, value.width);
  Grid<double> sum(value.height + 1, value.width + 1);  // over all pixels above and to the left
  for (int64_t y = 0; y < value.height; ++y) {
    for (int64_t x = 0; x < value.width; ++x) {
      sum.at(y + 1, x + 1) = sum.at(y, x + 1) + sum.at(y + 1, x) - sum.at(y, x) + static_cast<double>(value.at(y, x));
    }
  }
  Rect best{(value.height - height) / 2, (value.width - width) / 2, height, width};
  double most = 0;
  for (int64_t y = 0; y + height <= value.height; ++y) {
    for (int64_t x = 0; x + width <= value.width; ++x) {
      const double in = sum.at(y + height, x + width) - sum.at(y, x + width) - sum.at(y + height, x) + sum.at(y, x);
      if (in > most * (1 + 1e-9)) most = in, best = {y, x, height, width};
    }
  }
  return best;
}

/// The part with most background between two near objects or, where `touching`, with most pixels carved between them.
Rect choose_part(const TrainingPage& page, const InstanceDistances& distances, bool touching) {
  constexpr double kReach = 5, kLeastGap = 3;  // px
  Image value(page.classes.height, page.classes.width);
  for (size_t i = 0; i < value.data.size(); ++i) {
    if (page.classes.data[i] != 0 || distances.second.data[i] == kNoInstance) continue;
    const bool carved = page.instances.data[i] > 0;
    const double sum = std::sqrt(static_cast<double>(distances.first.data[i])) +
                       std::sqrt(static_cast<double>(distances.second.data[i]));
    if (touching && carved) value.data[i] = 100;
    if (!carved && sum > kLeastGap) value.data[i] = static_cast<float>(std::exp(-sum * sum / (2 * kReach * kReach)));
  }
  return richest_part(value);
}

/// The gray value that this share of all values stays below.
float quantile(std::vector<float> values, double share) {
  const auto at = values.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

template <class T>
Grid<T> crop_grid(const Grid<T>& grid, const Rect& part) {
  Grid<T> cropped(part.height, part.width, grid.channels);
  for (int64_t y = 0; y < part.height; ++y) {
    std::copy_n(&grid.at(part.y + y, part.x), part.width * grid.channels, &cropped.at(y, 0));
  }
  return cropped;
}

}  // namespace

FigureSubject::FigureSubject(const TrainingSet& training_set, const TrainingConfig& training_config,
                             const ModelInfo& model_info)
    : set(training_set),
      config(training_config),
      info(model_info),
      pages{choose_page(training_set.training)},
      page(pages.front()),
      size{page.image.height, page.image.width},
      distances(instance_distances(page.instances)),
      touching(choose_part(page, distances, true)),
      gap(choose_part(page, distances, false)),
      black(quantile(page.image.data, 0.002)),
      white(quantile(page.image.data, 0.998)) {}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::string html = "<table class=\"numbers\">";
  for (size_t r = 0; r < rows.size(); ++r) {
    html += r == 0 ? "<thead><tr>" : r == 1 ? "<tbody><tr>" : "<tr>";
    for (size_t c = 0; c < rows[r].size(); ++c) {
      const std::string text = escape_html(rows[r][c]);
      if (r == 0) {
        html += concat("<th scope=\"col\">", text, "</th>");
      } else {
        html += c == 0 ? concat("<th scope=\"row\">", text, "</th>") : concat("<td>", text, "</td>");
      }
    }
    html += r == 0 ? "</tr></thead>" : "</tr>";
  }
  return html + "</tbody></table>";
}

Size shown_size(Size size) {
  const int64_t largest = std::max(size.height, size.width);
  if (largest <= kLargestSide) return size;
  const auto shorten = [&](int64_t side) { return std::max<int64_t>(1, side * kLargestSide / largest); };
  return {shorten(size.height), shorten(size.width)};
}

Image reduced(const Image& image) { return rescaled(image, shown_size({image.height, image.width})); }
LabelMap reduced(const LabelMap& labels) { return rescaled(labels, shown_size({labels.height, labels.width})); }

Image crop(const Image& image, const Rect& part) { return crop_grid(image, part); }
LabelMap crop(const LabelMap& labels, const Rect& part) { return crop_grid(labels, part); }

Picture gray_picture(const FigureSubject& subject, const Image& image, float centre) {
  return gray_picture(image, subject.black - centre, subject.white - centre);
}

Picture mirrored_picture(const FigureSubject& subject, const Rect& window) {
  const Image tile = extract_tile(subject.page.image, window);
  Picture picture = gray_picture(subject, reduced(tile));
  for (int64_t y = 0; y < picture.height; ++y) {
    for (int64_t x = 0; x < picture.width; ++x) {
      const int64_t page_y = window.y + y * window.height / picture.height;
      const int64_t page_x = window.x + x * window.width / picture.width;
      if (page_y >= 0 && page_x >= 0 && page_y < subject.size.height && page_x < subject.size.width) continue;
      for (int64_t c = 0; c < 3; ++c) picture.at(y, x, c) = static_cast<uint8_t>(picture.at(y, x, c) / 2);
    }
  }
  return picture;
}

std::string class_name(const FigureSubject& subject, size_t label) {
  if (subject.info.labels == LabelKind::instances) return label == 0 ? "background" : "object";
  const auto& values = subject.info.class_values;
  return label < values.size() ? concat("class ", label, " (", values[label], " in the file)")
                               : concat("class ", label);
}

Drawing outline_drawing(const LabelMap& instances, const Rect& part, Ink ink) {
  const LabelMap ids = crop(instances, part);
  const PagePoint origin{static_cast<double>(part.y), static_cast<double>(part.x)};
  Drawing drawing(part);
  drawing.outlines(
      trace_outlines(ids, std::max(0, *std::max_element(ids.data.begin(), ids.data.end())), Connectivity::four), origin,
      ink);
  return drawing;
}

std::string to_png(const Picture& picture) {
  Grid<uint8_t> gray(picture.height, picture.width);
  for (size_t i = 0; i < gray.data.size(); ++i) {
    gray.data[i] = picture.data[3 * i];
    if (picture.data[3 * i + 1] != gray.data[i] || picture.data[3 * i + 2] != gray.data[i]) return encode_png(picture);
  }
  return encode_png(gray);
}

TrainingConfig without_changes(const FigureSubject& subject) {
  TrainingConfig config = subject.config;
  config.augmentation.rotation = config.augmentation.flips = config.augmentation.gray = false;
  config.augmentation.elastic = ElasticKind::none;
  return config;
}

int64_t central_sample(const FigureSubject& subject) {
  constexpr int64_t kTries = 300;
  int64_t best = 0;
  double nearest = 1e300;
  for (int64_t i = 0; i < kTries; ++i) {
    const Placement placement = draw_placement(subject.pages, subject.config, i);
    const double distance = std::hypot(placement.centre_y - static_cast<double>(subject.size.height) / 2,
                                       placement.centre_x - static_cast<double>(subject.size.width) / 2);
    if (distance < nearest) nearest = distance, best = i;
  }
  return best;
}

std::string placement_text(const Placement& placement) {
  // A reflection counts as one of rows, then a turn.
  const bool mirrored = placement.yy * placement.xx < placement.yx * placement.xy;
  const double turn = std::atan2(placement.yx, mirrored ? -placement.yy : placement.yy) * 180 / std::numbers::pi;
  return concat("centre at row ", number(placement.centre_y, 4), ", column ", number(placement.centre_x, 4),
                ", turned by ", number(turn < 0 ? turn + 360 : turn), "\u00b0", mirrored ? ", mirrored" : "");
}

std::string percent(double share) { return number(100 * share) + " %"; }
std::string size_text(Size size) { return concat(size.height, " x ", size.width, " px"); }
std::string number(double value, int digits) { return number_text(value, digits); }

}  // namespace unet
