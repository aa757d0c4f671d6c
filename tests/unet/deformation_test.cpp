#include "unet/deformation.h"

#include <cmath>

#include "tests/catch.h"

namespace unet {
namespace {

/// All displacements of a field: [H,W,2] of (dy, dx).
Grid<double> sampled(const DisplacementField& field, Size tile) {
  Grid<double> all(tile.height, tile.width, 2);
  std::vector<float> dy(static_cast<size_t>(tile.width)), dx(dy.size());
  for (int64_t y = 0; y < tile.height; ++y) {
    field.row(y, dy.data(), dx.data());
    for (int64_t x = 0; x < tile.width; ++x) {
      all.at(y, x, 0) = static_cast<double>(dy[static_cast<size_t>(x)]);
      all.at(y, x, 1) = static_cast<double>(dx[static_cast<size_t>(x)]);
    }
  }
  return all;
}

double rms(const Grid<double>& field) {
  double sum = 0;
  for (const double v : field.data) sum += v * v;
  return std::sqrt(sum / static_cast<double>(field.data.size()));
}

/// Rms per component over many fields of one kind.
double mean_rms(const AugmentationConfig& config, Size tile, uint32_t fields) {
  double sum = 0;
  for (uint32_t i = 0; i < fields; ++i) {
    const double r = rms(sampled(*draw_field(config, tile, 11, i), tile));
    sum += r * r;
  }
  return std::sqrt(sum / fields);
}

Grid<double> linear_nodes(int64_t height, int64_t width, double step_y, double step_x, double origin) {
  Grid<double> nodes(height, width, 2);
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      const double y = step_y * (static_cast<double>(i) - origin), x = step_x * (static_cast<double>(j) - origin);
      nodes.at(i, j, 0) = 2 + 0.25 * y - 0.5 * x;
      nodes.at(i, j, 1) = -3 + 0.125 * x;
    }
  }
  return nodes;
}

void check_linear(const CubicField& field, Size tile) {
  const Grid<double> all = sampled(field, tile);
  for (int64_t y = 0; y < tile.height; ++y) {
    for (int64_t x = 0; x < tile.width; ++x) {
      const auto fy = static_cast<double>(y), fx = static_cast<double>(x);
      REQUIRE(all.at(y, x, 0) == Approx(2 + 0.25 * fy - 0.5 * fx).margin(1e-4));
      REQUIRE(all.at(y, x, 1) == Approx(-3 + 0.125 * fx).margin(1e-4));
    }
  }
}

/// Catmull-Rom through g[0..2] with linearly continued ends, at position p in [0,2], by its usual tangent form.
double spline(const double* g, double p) {
  const double ghost[] = {2 * g[0] - g[1], g[0], g[1], g[2], 2 * g[2] - g[1]};
  const int e = p < 1 ? 0 : 1;
  const double t = p - e, a = ghost[e + 1], b = ghost[e + 2];
  const double left = (ghost[e + 2] - ghost[e]) / 2, right = (ghost[e + 3] - ghost[e + 1]) / 2;
  return (1 + 2 * t) * (1 - t) * (1 - t) * a + t * (1 - t) * (1 - t) * left + t * t * (3 - 2 * t) * b +
         t * t * (t - 1) * right;
}

}  // namespace

TEST_CASE("equal nodes move every pixel alike") {
  for (const Size tile : {Size{60, 37}, Size{188, 204}, Size{2, 3}}) {
    Grid<double> nodes(3, 3, 2, 4.5);
    for (const double v : sampled(CubicField::catmull_rom(tile, nodes), tile).data)
      REQUIRE(v == Approx(4.5).epsilon(1e-6));
    nodes = Grid<double>(tile.height / 10 + 4, tile.width / 10 + 4, 2, 4.5);
    for (const double v : sampled(CubicField::b_spline(tile, 10, nodes), tile).data) {
      REQUIRE(v == Approx(4.5).epsilon(1e-6));
    }
  }
}

TEST_CASE("cubic fields reproduce linear ones") {
  const Size tile{61, 91};
  check_linear(CubicField::catmull_rom(tile, linear_nodes(3, 3, 30, 45, 0)), tile);
  check_linear(CubicField::b_spline(tile, 12.5, linear_nodes(4 + 4, 7 + 4, 12.5, 12.5, 1)), tile);
}

TEST_CASE("the 3x3 field passes through its nodes and is the separable spline between them") {
  const Size tile{101, 161};
  Grid<double> nodes(3, 3, 2);
  RandomStream random(5, Purpose::elastic, 0);
  for (double& v : nodes.data) v = 10 * random.normal();
  const Grid<double> all = sampled(CubicField::catmull_rom(tile, nodes), tile);
  for (int64_t c = 0; c < 2; ++c) {
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t j = 0; j < 3; ++j) {
        CHECK(all.at(i * 50, j * 80, c) == Approx(nodes.at(i, j, c)).margin(1e-4));
      }
    }
    for (int64_t y = 0; y < tile.height; ++y) {
      for (int64_t x = 0; x < tile.width; ++x) {
        double column[3];
        for (int64_t i = 0; i < 3; ++i) {
          const double line[] = {nodes.at(i, 0, c), nodes.at(i, 1, c), nodes.at(i, 2, c)};
          column[i] = spline(line, static_cast<double>(x) / 80);
        }
        REQUIRE(all.at(y, x, c) == Approx(spline(column, static_cast<double>(y) / 50)).margin(1e-4));
      }
    }
  }
  CHECK_THROWS_AS(CubicField::catmull_rom(tile, Grid<double>(4, 3, 2)), ShapeError);
  CHECK_THROWS_AS(CubicField::b_spline(tile, 50, Grid<double>(4, 3, 2)), ShapeError);
}

TEST_CASE("the B-spline is the published basis") {
  // One node of height 6 at index 3: the values at the knots are 1, 4, 1, and in the middle between them 0.125, 2.875.
  Grid<double> nodes(10, 10, 2);
  for (int64_t i = 0; i < 10; ++i) nodes.at(i, 3, 0) = 6;
  const Grid<double> all = sampled(CubicField::b_spline({61, 61}, 10, nodes), {61, 61});
  const std::pair<int64_t, double> expected[] = {{0, 0},      {5, 0.125}, {10, 1},     {15, 2.875}, {20, 4},
                                                 {25, 2.875}, {30, 1},    {35, 0.125}, {40, 0},     {55, 0}};
  for (const auto& [x, value] : expected) CHECK(all.at(30, x, 0) == Approx(value).margin(1e-5));
}

TEST_CASE("fields are as strong as stated") {
  const Size tile{572, 572};
  AugmentationConfig config{.elastic = ElasticKind::grid3};
  CHECK(rms_displacement(config, tile) == Approx(10 * 157.0 / 210).epsilon(0.005));  // the integral over a segment
  CHECK(mean_rms(config, tile, 250) == Approx(rms_displacement(config, tile)).epsilon(0.05));
  config.elastic = ElasticKind::bspline;
  CHECK(rms_displacement(config, {600, 450}) == Approx(10 * 151.0 / 315).epsilon(0.005));
  CHECK(mean_rms(config, tile, 100) == Approx(rms_displacement(config, tile)).epsilon(0.05));
  config.elastic_sigma = 3, config.elastic_spacing = 20;
  CHECK(mean_rms(config, {60, 90}, 100) == Approx(rms_displacement(config, {60, 90})).epsilon(0.05));

  config.elastic = ElasticKind::simard;
  config.simard_alpha = 34, config.simard_sigma = 4;
  CHECK(rms_displacement(config, tile) == Approx(0.1629 * 34 / 4).epsilon(0.001));
  CHECK(mean_rms(config, {200, 200}, 4) == Approx(0.1629 * 34 / 4).epsilon(0.05));
  config.simard_alpha = 300, config.simard_sigma = 8;
  CHECK(mean_rms(config, {200, 200}, 12) == Approx(0.1629 * 300 / 8).epsilon(0.05));
  config.elastic = ElasticKind::none;
  CHECK(rms_displacement(config, tile) == 0);
}

TEST_CASE("smoothed noise is as strong at the rim as inside") {
  AugmentationConfig config{.elastic = ElasticKind::simard};
  config.simard_alpha = 34, config.simard_sigma = 3;
  const Size tile{40, 40};
  double rim = 0, inside = 0;
  for (uint32_t i = 0; i < 60; ++i) {
    const Grid<double> field = sampled(*draw_field(config, tile, 3, i), tile);
    for (int64_t k = 0; k < 40; ++k) {
      for (const double v : {field.at(0, k), field.at(39, k), field.at(k, 0), field.at(k, 39)}) rim += v * v / 4;
      for (const double v : {field.at(20, k), field.at(k, 20)}) inside += v * v / 2;
    }
  }
  CHECK(rim / inside == Approx(1).epsilon(0.15));
}

TEST_CASE("default fields do not fold") {
  const Size tile{572, 572};
  for (const ElasticKind kind : {ElasticKind::grid3, ElasticKind::bspline, ElasticKind::simard}) {
    double least = 1;
    for (uint32_t i = 0; i < (kind == ElasticKind::simard ? 1U : 60U); ++i) {
      const Grid<double> u = sampled(*draw_field({.elastic = kind}, tile, 23, i), tile);
      for (int64_t y = 0; y + 4 < tile.height; y += 4) {
        for (int64_t x = 0; x + 4 < tile.width; x += 4) {
          const auto slope = [&](int64_t c, int64_t dy, int64_t dx) {
            return (u.at(y + dy, x + dx, c) - u.at(y, x, c)) / 4;
          };
          least = std::min(least, (1 + slope(0, 4, 0)) * (1 + slope(1, 0, 4)) - slope(0, 0, 4) * slope(1, 4, 0));
        }
      }
    }
    CAPTURE(name_of(kind), least);
    CHECK(least > (kind == ElasticKind::grid3 ? 0.6 : 0.2));
    CHECK(least < 0.99);
  }
}

TEST_CASE("a field is a function of seed and sample") {
  const Size tile{60, 60};
  for (const ElasticKind kind : {ElasticKind::grid3, ElasticKind::bspline, ElasticKind::simard}) {
    AugmentationConfig config{.elastic = kind};
    config.simard_sigma = 5;
    const auto field = [&](uint64_t seed, uint32_t sample) {
      return sampled(*draw_field(config, tile, seed, sample), tile).data;
    };
    CHECK(field(1, 2) == field(1, 2));
    CHECK(field(1, 2) != field(1, 3));
    CHECK(field(1, 2) != field(2, 2));
  }
  CHECK(draw_field({.elastic = ElasticKind::none}, tile, 1, 1) == nullptr);
}

}  // namespace unet
