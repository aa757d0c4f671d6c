// The section on elastic deformation.
#include <algorithm>
#include <array>
#include <cmath>

#include "unet/field_statistics.h"
#include "unet/figure_parts.h"
#include "unet/png_io.h"

namespace unet {
namespace {

constexpr uint32_t kFields = 64;       // that are measured
constexpr uint32_t kSmoothFields = 4;  // of simard: slower to draw, and each holds many independent waves
constexpr int64_t kGridLines = 12;     // a side of the tile
constexpr int64_t kArrows = 9;         // a side of the tile

/// [T,T,2]: displacement of every pixel of a tile, dy and dx in px.
Image field_values(const AugmentationConfig& config, int64_t side, uint64_t seed, int64_t sample) {
  Image values(side, side, 2);
  const auto field = draw_field(config, {side, side}, seed, static_cast<uint32_t>(sample));
  if (!field) return values;
  std::vector<float> dy(static_cast<size_t>(side)), dx(dy.size());
  for (int64_t y = 0; y < side; ++y) {
    field->row(y, dy.data(), dx.data());
    for (int64_t x = 0; x < side; ++x) {
      values.at(y, x, 0) = dy[static_cast<size_t>(x)];
      values.at(y, x, 1) = dx[static_cast<size_t>(x)];
    }
  }
  return values;
}

Image lengths(const Image& field) {
  Image lengths(field.height, field.width);
  for (int64_t y = 0; y < field.height; ++y) {
    for (int64_t x = 0; x < field.width; ++x) lengths.at(y, x) = std::hypot(field.at(y, x, 0), field.at(y, x, 1));
  }
  return lengths;
}

/// Where the lines of a regular grid on the undeformed tile come to lie on the deformed one, RGBA.
Grid<uint8_t> grid_overlay(const Image& field) {
  const Size size = shown_size({field.height, field.width});
  const float spacing = static_cast<float>(field.height) / static_cast<float>(kGridLines);
  const float scale = static_cast<float>(field.height) / static_cast<float>(size.height);  // px a pixel shown
  const auto distance = [&](float position) {  // to the next line, in pixels shown
    return std::abs(position - spacing * std::round(position / spacing)) / scale;
  };
  Grid<uint8_t> overlay(size.height, size.width, 4);
  for (int64_t y = 0; y < size.height; ++y) {
    for (int64_t x = 0; x < size.width; ++x) {
      const float tile_y = (static_cast<float>(y) + 0.5F) * scale, tile_x = (static_cast<float>(x) + 0.5F) * scale;
      const auto fy = static_cast<int64_t>(tile_y), fx = static_cast<int64_t>(tile_x);
      const float beside = std::min(distance(tile_y + field.at(fy, fx, 0)), distance(tile_x + field.at(fy, fx, 1)));
      const float yellow = std::clamp(1.5F - beside, 0.0F, 1.0F), edge = std::clamp(2.5F - beside, 0.0F, 1.0F);
      const std::array<float, 4> colour{240 * yellow, 228 * yellow, 66 * yellow, 130 * edge + 110 * yellow};
      for (int64_t c = 0; c < 4; ++c) overlay.at(y, x, c) = static_cast<uint8_t>(colour[static_cast<size_t>(c)]);
    }
  }
  return overlay;
}

std::string arrow_drawing(const Image& field, int64_t times) {
  Drawing drawing({0, 0, field.height, field.width});
  std::vector<std::pair<PagePoint, PagePoint>> arrows;
  for (int64_t i = 0; i < kArrows; ++i) {
    for (int64_t j = 0; j < kArrows; ++j) {
      const int64_t y = (2 * i + 1) * field.height / (2 * kArrows), x = (2 * j + 1) * field.width / (2 * kArrows);
      const PagePoint from{static_cast<double>(y) + 0.5, static_cast<double>(x) + 0.5};
      const PagePoint to{from.y + static_cast<double>(times) * static_cast<double>(field.at(y, x, 0)),
                         from.x + static_cast<double>(times) * static_cast<double>(field.at(y, x, 1))};
      arrows.emplace_back(from, to);
    }
  }
  return drawing.arrows(arrows, Ink::white).svg();
}

std::string elastic_table(const FigureSubject& subject) {
  const int64_t side = subject.config.tile.input;
  std::vector<std::vector<std::string>> rows{
      {"", "rms, closed form", "rms, measured", "largest displacement", "smallest Jacobian", "fields measured"}};
  for (const ElasticKind kind : {ElasticKind::grid3, ElasticKind::bspline, ElasticKind::simard}) {
    AugmentationConfig config = subject.config.augmentation;
    config.elastic = kind;
    const uint32_t count = kind == ElasticKind::simard ? kSmoothFields : kFields;
    const FieldStatistics all =
        measure_fields(config, {side, side}, static_cast<uint64_t>(subject.config.run.seed), count);
    rows.push_back({std::string(name_of(kind)), number(rms_displacement(config, {side, side})) + " px",
                    number(all.rms) + " px", number(all.largest) + " px", number(all.smallest_jacobian),
                    concat(count)});
  }
  return table(rows);
}

std::string elastic_text(const AugmentationConfig& config, ElasticKind kind) {
  switch (kind) {
    case ElasticKind::none:
      return "no deformation";
    case ElasticKind::grid3:
      return concat("3 x 3 nodes of \u03c3 = ", number(config.elastic_sigma), " px, bicubic (section 3.1)");
    case ElasticKind::bspline:
      return concat("cubic B-spline, nodes every ", number(config.elastic_spacing),
                    " px of \u03c3 = ", number(config.elastic_sigma), " px (the authors' later layer)");
    case ElasticKind::simard:
      return concat("noise smoothed by \u03c3 = ", number(config.simard_sigma),
                    " px, times \u03b1 = ", number(config.simard_alpha), " px (Simard et al. 2003)");
  }
  return {};
}

}  // namespace

std::string elastic_section(const FigureSubject& subject) {
  const int64_t side = subject.config.tile.input, sample = central_sample(subject);
  struct Kind {
    ElasticKind kind;
    Image field;  // [T,T,2]
    float longest = 0;
  };
  std::vector<Kind> kinds;
  float top = 0;
  TrainingConfig config = without_changes(subject);
  for (const ElasticKind kind : {ElasticKind::none, ElasticKind::grid3, ElasticKind::bspline, ElasticKind::simard}) {
    config.augmentation.elastic = kind;
    Kind each{kind, field_values(config.augmentation, side, static_cast<uint64_t>(config.run.seed), sample)};
    const Image length = lengths(each.field);
    each.longest = *std::max_element(length.data.begin(), length.data.end());
    top = std::max(top, each.longest);
    kinds.push_back(std::move(each));
  }
  const auto times = static_cast<int64_t>(std::clamp(static_cast<float>(side) / 9 / top, 1.0F, 10.0F));
  Gallery tiles{
      .title = "Elastic deformation",
      .explanation = concat("One tile (sample ", sample,
                            "), deformed by the fields of one seed, and what becomes of a "
                            "regular grid drawn onto it. \"Random displacement vectors on a coarse 3 by 3 grid\" of "
                            "standard deviation 10 px are the paper's (Ronneberger et al. 2015, section 3.1). This run "
                            "uses ",
                            name_of(subject.config.augmentation.elastic), "."),
      .pictures = {},
      .columns = 4};
  Gallery fields{.title = "",
                 .explanation = concat("Displacements u: pixel x shows what lay at x + u(x). Arrows are ", times,
                                       times == 1 ? " time" : " times",
                                       " as long as u; colours are its length, on one "
                                       "scale."),
                 .pictures = {},
                 .columns = 4};
  for (const Kind& each : kinds) {
    const std::string name(name_of(each.kind));
    config.augmentation.elastic = each.kind;
    const Image tile = draw_sample(subject.pages, config, sample).image;
    tiles.pictures.push_back({.caption = concat(name, ": ", elastic_text(config.augmentation, each.kind), "."),
                              .png = to_png(gray_picture(subject, reduced(tile), subject.page.centre)),
                              .alternative = concat("the tile and a grid under the deformation ", name),
                              .overlay = encode_png(grid_overlay(each.field))});
    fields.pictures.push_back({.caption = concat(name, ": up to ", number(static_cast<double>(each.longest)), " px."),
                               .png = to_png(heat_picture(reduced(lengths(each.field)), top)),
                               .alternative = concat("displacements of ", name),
                               .drawing = each.longest > 0 ? arrow_drawing(each.field, times) : "",
                               .bar = ColourBar{.top = static_cast<double>(top), .unit = "px"}});
  }
  return concat(render(tiles), render(fields), elastic_table(subject),
                "<p class=\"note\">Rms is that of one component. The Jacobian is the determinant of the derivative of "
                "x + u(x): 1 keeps areas, below 0 the image folds over itself. Closed forms: (157/210) \u03c3 for "
                "grid3, (151/315) \u03c3 "
                "for bspline, \u03b1 / (2 \u03c3 \u221a(3\u03c0)) for simard.</p>");
}

}  // namespace unet
