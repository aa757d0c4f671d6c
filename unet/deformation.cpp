#include "unet/deformation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace unet {
namespace {

constexpr CubicField::Basis kCatmullRom{{{0, -0.5, 1, -0.5}, {1, 0, -2.5, 1.5}, {0, 0.5, 2, -1.5}, {0, 0, -0.5, 0.5}}};
constexpr double kSixth = 1.0 / 6;
constexpr CubicField::Basis kBSpline{
    {{kSixth, -0.5, 0.5, -kSixth}, {4 * kSixth, 0, -1, 0.5}, {kSixth, 0.5, 0.5, -0.5}, {0, 0, 0, kSixth}}};

void check_nodes(const Grid<double>& nodes, int64_t height, int64_t width) {
  if (nodes.height != height || nodes.width != width || nodes.channels != 2) {
    throw ShapeError(
        concat("displacement field: expected nodes [", height, ",", width, ",2], got ", nodes.shape_text()));
  }
}

/// The nodes with one more on every side, continued linearly.
Grid<double> with_ghosts(const Grid<double>& nodes) {
  const int64_t height = nodes.height, width = nodes.width;
  Grid<double> padded(height + 2, width + 2, 2);
  for (int64_t c = 0; c < 2; ++c) {
    const auto at = [&](int64_t y, int64_t x) -> double& { return padded.at(y, x, c); };
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) at(y + 1, x + 1) = nodes.at(y, x, c);
    }
    for (int64_t y = 1; y <= height; ++y) {
      at(y, 0) = 2 * at(y, 1) - at(y, 2);
      at(y, width + 1) = 2 * at(y, width) - at(y, width - 1);
    }
    for (int64_t x = 0; x <= width + 1; ++x) {
      at(0, x) = 2 * at(1, x) - at(2, x);
      at(height + 1, x) = 2 * at(height, x) - at(height - 1, x);
    }
  }
  return padded;
}

int64_t b_spline_segments(int64_t length, double spacing_px) {
  return static_cast<int64_t>(static_cast<double>(length) / spacing_px) + 1;
}

Grid<double> draw_nodes(int64_t height, int64_t width, double sigma_px, RandomStream random) {
  Grid<double> nodes(height, width, 2);
  for (double& component : nodes.data) component = sigma_px * random.normal();
  return nodes;
}

}  // namespace

CubicField::Axis::Axis(int64_t length, double spacing_px, int64_t segments) {
  for (int64_t i = 0, segment = -1; i < length; ++i) {
    const double nodes = static_cast<double>(i) / spacing_px;
    const int64_t in = std::min(static_cast<int64_t>(nodes), segments - 1);
    for (; segment < in; ++segment) begin.push_back(i);
    position.push_back(static_cast<float>(nodes - static_cast<double>(in)));
  }
  begin.push_back(length);
}

CubicField CubicField::catmull_rom(Size tile, const Grid<double>& nodes) {
  check_nodes(nodes, 3, 3);
  const auto axis = [](int64_t length) { return Axis(length, std::max(0.5, static_cast<double>(length - 1) / 2), 2); };
  return {kCatmullRom, axis(tile.height), axis(tile.width), with_ghosts(nodes)};
}

CubicField CubicField::b_spline(Size tile, double spacing_px, const Grid<double>& nodes) {
  const int64_t rows = b_spline_segments(tile.height, spacing_px), columns = b_spline_segments(tile.width, spacing_px);
  check_nodes(nodes, rows + 3, columns + 3);
  return {kBSpline, Axis(tile.height, spacing_px, rows), Axis(tile.width, spacing_px, columns), nodes};
}

void CubicField::row(int64_t y, float* dy, float* dx) const {
  // Down the columns of nodes once, which leaves one cubic polynomial per segment and component.
  const auto above = std::upper_bound(rows_.begin.begin(), rows_.begin.end(), y) - rows_.begin.begin() - 1;
  const double t = static_cast<double>(rows_.position[static_cast<size_t>(y)]);
  Grid<double> line(1, nodes_.width, 2);
  for (size_t m = 0; m < 4; ++m) {
    const auto& p = basis_[m];
    const double weight = p[0] + t * (p[1] + t * (p[2] + t * p[3]));
    const double* from = &nodes_.at(above + static_cast<int64_t>(m), 0);
    for (size_t i = 0; i < line.data.size(); ++i) line.data[i] += weight * from[i];
  }
  for (size_t segment = 0; segment + 1 < columns_.begin.size(); ++segment) {
    std::array<float, 4> cy{}, cx{};
    for (size_t k = 0; k < 4; ++k) {
      double sum_y = 0, sum_x = 0;
      for (size_t m = 0; m < 4; ++m) {
        const auto node = static_cast<int64_t>(segment + m);
        sum_y += basis_[m][k] * line.at(0, node, 0);
        sum_x += basis_[m][k] * line.at(0, node, 1);
      }
      cy[k] = static_cast<float>(sum_y), cx[k] = static_cast<float>(sum_x);
    }
    const float* position = columns_.position.data();
    for (int64_t x = columns_.begin[segment]; x < columns_.begin[segment + 1]; ++x) {
      const float s = position[x];
      dy[x] = cy[0] + s * (cy[1] + s * (cy[2] + s * cy[3]));
      dx[x] = cx[0] + s * (cx[1] + s * (cx[2] + s * cx[3]));
    }
  }
}

SmoothedNoiseField::SmoothedNoiseField(Size tile, double alpha, double sigma_px, RandomStream random) {
  const auto radius = static_cast<int64_t>(std::ceil(4 * sigma_px));
  std::vector<float> kernel;
  for (int64_t i = -radius; i <= radius; ++i) {
    const double z = static_cast<double>(i) / sigma_px;
    kernel.push_back(static_cast<float>(std::exp(-0.5 * z * z) / (std::sqrt(2 * std::numbers::pi) * sigma_px)));
  }
  // Noise reaches `radius` beyond the tile, so that the field is as strong at the rim as inside.
  for (Image* field : {&dy_, &dx_}) {
    Image rows(tile.height, tile.width + 2 * radius);  // smoothed down the columns
    for (int64_t y = 0; y < tile.height + 2 * radius; ++y) {
      std::vector<float> noise(static_cast<size_t>(rows.width));
      for (float& v : noise) v = static_cast<float>(random.uniform(-alpha, alpha));
      for (int64_t out = std::max(int64_t{0}, y - 2 * radius); out <= std::min(y, tile.height - 1); ++out) {
        const float weight = kernel[static_cast<size_t>(y - out)];
        float* sum = &rows.at(out, 0);
        for (size_t x = 0; x < noise.size(); ++x) sum[x] += weight * noise[x];
      }
    }
    *field = Image(tile.height, tile.width);
    for (int64_t y = 0; y < tile.height; ++y) {
      float* sum = &field->at(y, 0);
      for (size_t k = 0; k < kernel.size(); ++k) {
        const float* from = &rows.at(y, static_cast<int64_t>(k));
        for (int64_t x = 0; x < tile.width; ++x) sum[x] += kernel[k] * from[x];
      }
    }
  }
}

void SmoothedNoiseField::row(int64_t y, float* dy, float* dx) const {
  std::copy_n(&dy_.at(y, 0), dy_.width, dy);
  std::copy_n(&dx_.at(y, 0), dx_.width, dx);
}

std::unique_ptr<DisplacementField> draw_field(const AugmentationConfig& config, Size tile, uint64_t seed,
                                              uint32_t sample) {
  const RandomStream random(seed, Purpose::elastic, sample);
  switch (config.elastic) {
    case ElasticKind::none:
      break;
    case ElasticKind::grid3:
      return std::make_unique<CubicField>(
          CubicField::catmull_rom(tile, draw_nodes(3, 3, config.elastic_sigma, random)));
    case ElasticKind::bspline: {
      const auto nodes = [&](int64_t length) { return b_spline_segments(length, config.elastic_spacing) + 3; };
      return std::make_unique<CubicField>(
          CubicField::b_spline(tile, config.elastic_spacing,
                               draw_nodes(nodes(tile.height), nodes(tile.width), config.elastic_sigma, random)));
    }
    case ElasticKind::simard:
      return std::make_unique<SmoothedNoiseField>(tile, config.simard_alpha, config.simard_sigma, random);
  }
  return nullptr;
}

double rms_displacement(const AugmentationConfig& config, Size tile) {
  if (config.elastic == ElasticKind::none) return 0;
  if (config.elastic == ElasticKind::simard) {
    return config.simard_alpha / (2 * config.simard_sigma * std::sqrt(3 * std::numbers::pi));
  }
  // A displacement is sum_ij a_i(y) b_j(x) node_ij with independent nodes: the mean square is that of sum_i a_i^2 down
  // a column times that of sum_j b_j^2 along a row. A field one pixel wide, with one row of nodes set, is a_i.
  const auto mean_square = [&](int64_t length) {
    const bool grid3 = config.elastic == ElasticKind::grid3;
    const int64_t nodes = grid3 ? 3 : b_spline_segments(length, config.elastic_spacing) + 3;
    double sum = 0;
    for (int64_t i = 0; i < nodes; ++i) {
      Grid<double> unit(nodes, grid3 ? 3 : b_spline_segments(1, config.elastic_spacing) + 3, 2);
      for (int64_t j = 0; j < unit.width; ++j) unit.at(i, j) = 1;
      const Size column{length, 1};
      const CubicField field =
          grid3 ? CubicField::catmull_rom(column, unit) : CubicField::b_spline(column, config.elastic_spacing, unit);
      for (int64_t y = 0; y < length; ++y) {
        float a = 0, unused = 0;
        field.row(y, &a, &unused);
        sum += static_cast<double>(a) * static_cast<double>(a);
      }
    }
    return sum / static_cast<double>(length);
  };
  return config.elastic_sigma * std::sqrt(mean_square(tile.height) * mean_square(tile.width));
}

}  // namespace unet
