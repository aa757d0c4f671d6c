// The section on weight maps.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "unet/chart.h"
#include "unet/figure_parts.h"
#include "unet/weight_map.h"

namespace unet {
namespace {

Image weights_of(const FigureSubject& subject, WeightMapKind kind) {
  WeightMapConfig config = subject.config.weight_map;
  config.kind = kind;
  return weight_map(subject.page.instances, subject.page.classes, subject.set.class_weights, config);
}

struct Range {
  float low = 0, high = 0;
};

/// Over pixels with truth.
Range range_of(const FigureSubject& subject, const Image& weights) {
  std::optional<Range> range;
  for (size_t i = 0; i < weights.data.size(); ++i) {
    if (subject.page.classes.data[i] < 0) continue;
    const float w = weights.data[i];
    range = range ? Range{std::min(range->low, w), std::max(range->high, w)} : Range{w, w};
  }
  return range.value_or(Range{});
}

/// A straight line of pixels across the gap between two objects, in the direction in which they lie closest.
struct Profile {
  int64_t y = 0, x = 0, dy = 0, dx = 1;  // middle and step, px
  int64_t reach = 16;                    // steps to either side
};

/// The pixel of the part that lies in the middle between two objects, close to the part's centre. Gaps of some pixels
/// show more than those of one.
Profile choose_profile(const FigureSubject& subject) {
  const Rect& part = subject.gap;
  const LabelMap& ids = subject.page.instances;
  const int64_t centre_y = part.y + part.height / 2, centre_x = part.x + part.width / 2;
  Profile profile{.y = centre_y, .x = centre_x};
  double least = std::numeric_limits<double>::infinity();
  for (int64_t y = part.y; y < part.y + part.height; ++y) {
    for (int64_t x = part.x; x < part.x + part.width; ++x) {
      if (subject.distances.second.at(y, x) == kNoInstance || subject.page.classes.at(y, x) != 0) continue;
      const double first = std::sqrt(static_cast<double>(subject.distances.first.at(y, x)));
      const double second = std::sqrt(static_cast<double>(subject.distances.second.at(y, x)));
      const double gap = first + second;
      const double cost = 4 * (second - first) + 4 * std::max(0.0, 5 - gap) + 3 * std::max(0.0, gap - 8) +
                          0.2 * std::hypot(y - centre_y, x - centre_x);
      if (cost < least) least = cost, profile.y = y, profile.x = x;
    }
  }
  const auto object_towards = [&](int64_t dy, int64_t dx) {  // id and steps
    for (int64_t i = 0; i <= profile.reach; ++i) {
      const int64_t y = profile.y + i * dy, x = profile.x + i * dx;
      if (y < 0 || x < 0 || y >= ids.height || x >= ids.width) break;
      if (ids.at(y, x) > 0) return std::pair(ids.at(y, x), i);
    }
    return std::pair(int32_t{0}, profile.reach + 1);
  };
  double shortest = std::numeric_limits<double>::infinity();
  for (const auto& [dy, dx] : std::array<std::array<int64_t, 2>, 4>{{{0, 1}, {1, 0}, {1, 1}, {1, -1}}}) {
    const auto [one, steps_to_one] = object_towards(dy, dx);
    const auto [other, steps_to_other] = object_towards(-dy, -dx);
    const double length = static_cast<double>(steps_to_one + steps_to_other) * std::hypot(dy, dx);
    const bool between_two = one > 0 && other > 0 && (one != other || steps_to_one + steps_to_other == 0);
    if (between_two && length < shortest) shortest = length, profile.dy = dy, profile.dx = dx;
  }
  return profile;
}

ChartSeries profile_series(const std::string& name, const Image& weights, const Profile& profile) {
  ChartSeries series{.name = name, .points = {}, .dots = true};
  for (int64_t i = -profile.reach; i <= profile.reach; ++i) {
    const int64_t y = profile.y + i * profile.dy, x = profile.x + i * profile.dx;
    if (y < 0 || x < 0 || y >= weights.height || x >= weights.width) continue;
    const auto w = static_cast<double>(weights.at(y, x));
    series.points.push_back(
        {.x = static_cast<double>(i) * std::hypot(profile.dy, profile.dx), .y = w, .low = w, .high = w});
  }
  return series;
}

std::string class_table(const FigureSubject& subject) {
  ClassFrequencies frequencies(subject.config.network.classes);
  for (const TrainingPage& page : subject.set.training) frequencies.add(page.classes);
  const auto none = frequencies.weights(ClassBalance::none), inv = frequencies.weights(ClassBalance::inv),
             max1 = frequencies.weights(ClassBalance::max1);
  double total = 0;
  for (const int64_t pixels : frequencies.pixels()) total += static_cast<double>(pixels);
  std::vector<std::vector<std::string>> rows{{"", "pixels", "share", "none", "inv", "max1"}};
  for (size_t k = 0; k < frequencies.pixels().size(); ++k) {
    const auto pixels = static_cast<double>(frequencies.pixels()[k]);
    const auto weight = [](float w) { return number(static_cast<double>(w), 4); };
    rows.push_back({class_name(subject, k), number(pixels, 12), percent(pixels / total), weight(none[k]),
                    weight(inv[k]), weight(max1[k])});
  }
  return table(rows);
}

}  // namespace

std::string weight_section(const FigureSubject& subject) {
  const WeightMapConfig& config = subject.config.weight_map;
  struct Map {
    WeightMapKind kind;
    std::string name, formula;
  };
  const std::array<Map, 3> maps{
      Map{WeightMapKind::none, "none", "1 for every pixel"},
      Map{WeightMapKind::paper, "paper",
          concat("w_c + ", number(config.w0), " exp(-(d1 + d2)\u00b2 / (2 \u00b7 ", number(config.sigma), "\u00b2))")},
      Map{WeightMapKind::falk, "falk",
          "1 on objects; 0.1 + 0.9 exp(-d1\u00b2 / (2 \u00b7 10\u00b2)) + 50 exp(-(d1 + d2)\u00b2 / (2 \u00b7 "
          "6\u00b2)) on background"}};
  Gallery whole{
      .title = "Weight maps",
      .explanation =
          concat("What a wrong pixel costs (Ronneberger et al. 2015, section 3, eq. 2; falk: Falk et al. 2019). d1 and "
                 "d2 are the distances to the two nearest objects in px, w_c is the weight of the pixel's class. Each "
                 "map has its own scale. This run uses ",
                 name_of(config.kind), "."),
      .pictures = {},
      .columns = 3};
  Gallery parts{.title = "",
                .explanation = "The same where objects come close. White lines: objects; orange: the profile below.",
                .pictures = {},
                .columns = 3};
  Chart chart{.id = "weight-profile",
              .title = "Weights across the gap",
              .note = "Along the orange line: what separates two objects weighs most.",
              .x_name = "px from the middle of the gap",
              .series = {}};
  const Profile profile = choose_profile(subject);
  const auto end = [&](int64_t steps) {
    return PagePoint{static_cast<double>(profile.y + steps * profile.dy) + 0.5,
                     static_cast<double>(profile.x + steps * profile.dx) + 0.5};
  };
  for (const Map& map : maps) {
    const Image weights = weights_of(subject, map.kind);
    const Range range = range_of(subject, weights);
    const std::string high = number(static_cast<double>(range.high), 4);
    const std::string numbers = range.low == range.high
                                    ? high + " everywhere"
                                    : concat(number(static_cast<double>(range.low), 4), " to ", high);
    const ColourBar bar{.top = static_cast<double>(range.high), .unit = ""};
    whole.pictures.push_back({.caption = concat(map.name, ": ", map.formula, ". Weights ", numbers, "."),
                              .png = to_png(heat_picture(reduced(weights), range.high)),
                              .alternative = concat("weight map ", map.name, " of the page, ", numbers),
                              .bar = bar});
    parts.pictures.push_back({.caption = map.name,
                              .png = to_png(heat_picture(crop(weights, subject.gap), range.high)),
                              .alternative = concat("weight map ", map.name, ", magnified where objects come close"),
                              .drawing = outline_drawing(subject.page.instances, subject.gap, Ink::white)
                                             .line(end(-profile.reach), end(profile.reach), Ink::orange)
                                             .svg(),
                              .bar = bar,
                              .magnified = true});
    chart.series.push_back(profile_series(map.name, weights, profile));
  }
  return concat(
      render(whole), render(parts), "<div class=\"charts\">", render(chart),
      "<div><h3>Class weights w_c</h3><p class=\"note\">Over all training pages, after carving: inv is N / (K "
      "N_k), max1 is N_max / N_k (\"to balance the class frequencies\", section 3). This run uses ",
      name_of(config.class_balance), ".</p>", class_table(subject), "</div></div>");
}

}  // namespace unet
