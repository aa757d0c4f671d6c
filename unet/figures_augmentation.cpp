// Sections on place, rotation and flips, and on gray values.
#include <algorithm>
#include <array>
#include <cmath>

#include "unet/chart.h"
#include "unet/figure_parts.h"
#include "unet/gray_curve.h"

namespace unet {
namespace {

constexpr uint32_t kCurves = 20;

Rect tile_rect(const FigureSubject& subject) { return {0, 0, subject.config.tile.input, subject.config.tile.input}; }

ChartSeries curve_series(const std::string& name, const GrayCurve& curve) {
  ChartSeries series{.name = name, .points = {}};
  for (int i = 0; i <= 64; ++i) {
    const double in = i / 64.0, out = static_cast<double>(curve(static_cast<float>(in)));
    series.points.push_back({.x = in, .y = out, .low = out, .high = out});
  }
  return series;
}

/// What the curves do, beside what the configuration allows before they are smoothed.
std::string curve_table(const AugmentationConfig& config, const std::vector<GrayCurve>& curves) {
  struct Range {
    double low = 1e9, high = -1e9;
    void include(double v) { low = std::min(low, v), high = std::max(high, v); }
    std::string text() const { return concat(number(low), " to ", number(high)); }
  };
  Range black, white, slope;
  for (const GrayCurve& curve : curves) {
    black.include(static_cast<double>(curve(0)));
    white.include(static_cast<double>(curve(1)));
    for (int i = 0; i < 64; ++i) {
      slope.include(64 *
                    static_cast<double>(curve(static_cast<float>(i + 1) / 64) - curve(static_cast<float>(i) / 64)));
    }
  }
  const Range black_set{-config.gray_shift, config.gray_shift}, white_set{1 - config.gray_shift, 1 + config.gray_shift};
  const Range slope_set{config.gray_slope_min, config.gray_slope_max};
  return table({{"", "configured", "these curves"},
                {"black becomes", black_set.text(), black.text()},
                {"white becomes", white_set.text(), white.text()},
                {"slope", slope_set.text(), slope.text()}});
}

/// Corners of a tile on the page.
std::vector<PagePoint> corners(const Placement& placement, int64_t side) {
  const double half = static_cast<double>(side) / 2;
  std::vector<PagePoint> points;
  for (const auto& [y, x] : {std::pair{-half, -half}, {-half, half}, {half, half}, {half, -half}}) {
    points.push_back({placement.centre_y + 0.5 + placement.yy * y + placement.yx * x,
                      placement.centre_x + 0.5 + placement.xy * y + placement.xx * x});
  }
  return points;
}

}  // namespace

std::string placement_section(const FigureSubject& subject) {
  constexpr std::array<Ink, 3> kInks{Ink::yellow, Ink::blue, Ink::orange};
  const TrainingConfig config = [&] {
    TrainingConfig placed = without_changes(subject);
    placed.augmentation.rotation = subject.config.augmentation.rotation;
    placed.augmentation.flips = subject.config.augmentation.flips;
    return placed;
  }();
  const int64_t side = config.tile.input;
  const TileRule rule(static_cast<int>(config.network.depth));
  const int64_t margin = rule.margin(), output = rule.output(side);
  double top = 0, left = 0, bottom = static_cast<double>(subject.size.height),
         right = static_cast<double>(subject.size.width);
  std::vector<Placement> placements;
  for (int64_t i = 0; i < std::ssize(kInks); ++i) {
    placements.push_back(draw_placement(subject.pages, config, i));
    for (const PagePoint& corner : corners(placements.back(), side)) {
      top = std::min(top, corner.y), bottom = std::max(bottom, corner.y);
      left = std::min(left, corner.x), right = std::max(right, corner.x);
    }
  }
  const double rim = static_cast<double>(side) / 40;
  top -= rim, left -= rim, bottom += rim, right += rim;
  const auto whole = [](double v) { return static_cast<int64_t>(std::floor(v)); };
  const Rect window{whole(top), whole(left), whole(bottom) + 1 - whole(top), whole(right) + 1 - whole(left)};
  Drawing drawing(window);
  drawing.square({0, 0, subject.size.height, subject.size.width}, Ink::white, true);
  const AugmentationConfig& augmentation = config.augmentation;
  Gallery gallery{
      .title = "Place, rotation and flips",
      .explanation = concat("\"Shift and rotation invariance\" (Ronneberger et al. 2015, section 3.1). In this run: "
                            "rotation ",
                            augmentation.rotation ? "by any angle" : "off", ", shift up to ",
                            number(augmentation.shift), " px, flips ", augmentation.flips ? "on" : "off",
                            ". Without elastic deformation and with the gray values of the page."),
      .pictures = {},
      .columns = 4};
  for (size_t i = 0; i < placements.size(); ++i) {
    const std::vector<PagePoint> square = corners(placements[i], side);
    const PagePoint centre{placements[i].centre_y + 0.5, placements[i].centre_x + 0.5};
    drawing.polygon(square, kInks[i]);
    const PagePoint upper{(square[0].y + square[1].y) / 2, (square[0].x + square[1].x) / 2};
    drawing.line(centre, upper, kInks[i]);
    drawing.text({centre.y + 0.8 * (upper.y - centre.y), centre.x + 0.8 * (upper.x - centre.x)}, concat(i), kInks[i]);
  }
  gallery.pictures.push_back({.caption =
                                  "Three tiles on the page (dashed), which continues by mirroring. The line through "
                                  "each number leads to the tile's upper side.",
                              .png = to_png(mirrored_picture(subject, window)),
                              .alternative = "the page with the outlines of three turned tiles",
                              .drawing = drawing.svg()});
  for (size_t i = 0; i < placements.size(); ++i) {
    const Sample sample = draw_sample(subject.pages, config, static_cast<int64_t>(i));
    gallery.pictures.push_back(
        {.caption = concat("Tile ", i, ": ", placement_text(placements[i]), "."),
         .png = to_png(gray_picture(subject, reduced(sample.image), subject.page.centre)),
         .alternative = concat("tile ", i),
         .drawing = Drawing(tile_rect(subject))
                        .square({margin, margin, output, output}, kInks[i])
                        .text({static_cast<double>(margin) / 2, static_cast<double>(side) / 2}, concat(i), kInks[i])
                        .svg()});
  }
  return render(gallery);
}

std::string gray_section(const FigureSubject& subject) {
  const AugmentationConfig& augmentation = subject.config.augmentation;
  std::vector<GrayCurve> curves;
  for (uint32_t i = 0; i < kCurves; ++i) {
    RandomStream random(static_cast<uint64_t>(subject.config.run.seed), Purpose::gray_curve, i);
    curves.emplace_back(augmentation, random);
  }
  const auto [darkest, brightest] = std::minmax_element(
      curves.begin(), curves.end(), [](const GrayCurve& a, const GrayCurve& b) { return a(0.5F) < b(0.5F); });
  Chart chart{.id = "gray-curves",
              .title = concat(kCurves, " random curves"),
              .note = "Gray values before and after, both of the range of the file's type.",
              .x_name = "before",
              .series = {}};
  for (const GrayCurve& curve : curves) chart.series.push_back(curve_series("", curve));
  chart.series.push_back({.name = "unchanged", .points = {{0, 0, 0, 0}, {1, 1, 1, 1}}});
  chart.series.push_back(curve_series("darkest", *darkest));
  chart.series.push_back(curve_series("brightest", *brightest));

  Image tile = draw_sample(subject.pages, without_changes(subject), central_sample(subject)).image;
  for (float& v : tile.data) v += subject.page.centre;
  const auto picture = [&](const std::string& caption, const GrayCurve* curve) {
    Image changed = tile;
    if (curve != nullptr) std::transform(tile.data.begin(), tile.data.end(), changed.data.begin(), *curve);
    return PagePicture{.caption = caption, .png = to_png(gray_picture(subject, reduced(changed)))};
  };
  const Gallery gallery{
      .title = "",
      .explanation = "",
      .pictures = {picture("The tile before.", nullptr), picture("After the darkest curve.", &*darkest),
                   picture("After the brightest curve.", &*brightest)},
      .columns = 3};
  return concat(
      "<section><h2>Gray values</h2><p class=\"note\">\"Robustness to gray value variations\" (Ronneberger et "
      "al. 2015, section 3.1); the curves are those of the authors' later layers: monotone, through five random "
      "points, smoothed. In this run: ",
      augmentation.gray ? "on" : "off", ".</p><div class=\"charts\">", render(chart), "<div>",
      curve_table(augmentation, curves), "</div></div>", render(gallery), "</section>");
}

}  // namespace unet
