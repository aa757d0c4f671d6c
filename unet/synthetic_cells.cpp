// Cells of a synthetic culture: discs that share their overlaps along the power diagram, seen through a wavy coordinate
// system. Disc and power region are convex, so that each cell is in one piece.
#include <algorithm>
#include <array>
#include <cmath>

#include "unet/components.h"
#include "unet/synthetic.h"
#include "unet/synthetic_noise.h"

namespace unet {
namespace {

constexpr double kSpacing_px = 30;  // of the lattice with at most one cell in each of its squares
constexpr int64_t kMargin = 2;      // squares of the lattice around the page

struct Cell {
  float y = 0, x = 0, radius = 0;      // px; radius 0: no cell
  float brightness = 0;                // gray values above the background
  float nucleus_y = 0, nucleus_x = 0;  // px from the centre
};

Grid<Cell> make_cells(int64_t height, int64_t width, uint64_t seed, int64_t page) {
  const auto squares = [](int64_t side_px) {
    return static_cast<int64_t>(std::ceil(static_cast<double>(side_px) / kSpacing_px)) + 2 * kMargin;
  };
  Grid<Cell> cells(squares(height), squares(width));
  const Image crowding =
      smooth_noise(cells.height, cells.width, {seed, Purpose::synthetic_shape, 1}, 3, static_cast<double>(page));
  for (int64_t row = 0; row < cells.height; ++row) {
    RandomStream stream = lattice_row({seed, Purpose::synthetic_shape, 0}, page, row);
    const auto uniform = [&stream](double low, double high) { return static_cast<float>(stream.uniform(low, high)); };
    const auto coordinate = [&stream](int64_t square) {
      return static_cast<float>((static_cast<double>(square - kMargin) + stream.uniform(0.1, 0.9)) * kSpacing_px);
    };
    for (int64_t column = 0; column < cells.width; ++column) {
      Cell& cell = cells.at(row, column);
      cell.y = coordinate(row);
      cell.x = coordinate(column);
      const bool present = uniform(0, 1) < 0.62F + 0.7F * crowding.at(row, column);
      const float radius = uniform(12, 20);
      cell.radius = present ? radius : 0;
      cell.brightness = uniform(35, 110);
      cell.nucleus_y = uniform(-4, 4);
      cell.nucleus_x = uniform(-4, 4);
    }
  }
  return cells;
}

/// What surrounds a pixel.
struct Surroundings {
  const Cell* cell = nullptr;  // that it belongs to
  int32_t number = 0;          // of that cell in its lattice, from 1
  float edge_px = 0;           // to the cell's edge, or between two cells their border
};

Surroundings surroundings(const Grid<Cell>& cells, float y, float x) {
  const auto row = static_cast<int64_t>(std::floor(y / kSpacing_px)) + kMargin;
  const auto column = static_cast<int64_t>(std::floor(x / kSpacing_px)) + kMargin;
  const auto visit_neighbourhood = [&](const auto& visit) {
    for (int64_t r = std::max<int64_t>(row - 1, 0); r <= std::min(row + 1, cells.height - 1); ++r) {
      for (int64_t c = std::max<int64_t>(column - 1, 0); c <= std::min(column + 1, cells.width - 1); ++c) {
        const Cell& cell = cells.at(r, c);
        const float dy = y - cell.y, dx = x - cell.x;
        if (cell.radius > 0) visit(cell, r * cells.width + c, dy * dy + dx * dx - cell.radius * cell.radius);
      }
    }
  };
  Surroundings found;
  float smallest = 0;
  visit_neighbourhood([&](const Cell& cell, int64_t index, float power) {
    if (power >= smallest) return;
    smallest = power;
    found.cell = &cell;
    found.number = static_cast<int32_t>(index + 1);
  });
  if (!found.cell) return found;
  found.edge_px = found.cell->radius - std::sqrt(smallest + found.cell->radius * found.cell->radius);
  visit_neighbourhood([&](const Cell& cell, int64_t, float power) {
    if (&cell == found.cell) return;
    const float apart = std::hypot(cell.y - found.cell->y, cell.x - found.cell->x);
    found.edge_px = std::min(found.edge_px, (power - smallest) / (2 * apart));
  });
  return found;
}

/// Gives every cell its largest connected part and the next free number from 1: at a corner the pixels' raster can cut
/// a cell's tip off.
void number_cells(LabelMap& labels) {
  const Components parts = connected_components(labels, Connectivity::four);
  const auto count = static_cast<size_t>(parts.count) + 1;
  std::vector<int64_t> sizes(count);    // px of each part
  std::vector<int32_t> cell_of(count);  // number in the lattice
  int32_t last = 0;
  for (size_t i = 0; i < labels.data.size(); ++i) {
    const auto part = static_cast<size_t>(parts.ids.data[i]);
    ++sizes[part];
    cell_of[part] = labels.data[i];
    last = std::max(last, labels.data[i]);
  }
  std::vector<size_t> largest(static_cast<size_t>(last) + 1);  // part of each cell; 0: none yet
  for (size_t part = 1; part < count; ++part) {
    size_t& best = largest[static_cast<size_t>(cell_of[part])];
    if (best == 0 || sizes[part] > sizes[best]) best = part;
  }
  std::vector<int32_t> number_of(count);
  int32_t next = 1;
  for (size_t part = 1; part < count; ++part) {
    if (largest[static_cast<size_t>(cell_of[part])] == part) number_of[part] = next++;
  }
  for (size_t i = 0; i < labels.data.size(); ++i) {
    labels.data[i] = number_of[static_cast<size_t>(parts.ids.data[i])];
  }
}

}  // namespace

SyntheticPage synthetic_cells(int64_t height, int64_t width, uint64_t seed, int64_t page) {
  check_page("synthetic_cells", height, width, page);
  const Grid<Cell> cells = make_cells(height, width, seed, page);
  const auto field = [&](Purpose purpose, uint32_t index, double period_px) {
    return smooth_noise(height, width, {seed, purpose, index}, period_px, static_cast<double>(page));
  };
  const Image bend_y = field(Purpose::synthetic_shape, 2, 24), bend_x = field(Purpose::synthetic_shape, 3, 24);
  const Image light = field(Purpose::synthetic_texture, 0, 170), haze = field(Purpose::synthetic_texture, 1, 35);
  const Image texture = field(Purpose::synthetic_texture, 2, 5);

  SyntheticPage result{Image(height, width), LabelMap(height, width)};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const float wavy_y = static_cast<float>(y) + 4 * bend_y.at(y, x);
      const float wavy_x = static_cast<float>(x) + 4 * bend_x.at(y, x);
      const auto [cell, number, edge_px] = surroundings(cells, wavy_y, wavy_x);
      float gray = 62 + 20 * haze.at(y, x);
      if (cell) {
        const float nucleus = std::hypot(wavy_y - cell->y - cell->nucleus_y, wavy_x - cell->x - cell->nucleus_x);
        gray += cell->brightness * (0.35F + 0.65F * smooth_step(edge_px / 5)) *
                (1 - 0.5F * smooth_step((0.4F * cell->radius + 1 - nucleus) / 2)) * (1 + 0.3F * texture.at(y, x));
      }
      result.image.at(y, x) = gray * (1 + 0.6F * light.at(y, x));
      result.labels.at(y, x) = number;
    }
  }
  number_cells(result.labels);

  const auto step = static_cast<uint32_t>(page);
  add_grain(result.image, 18, {seed, Purpose::synthetic_texture, step});
  blur(result.image);
  add_grain(result.image, 7, {seed, Purpose::synthetic_noise, step});
  round_to_bytes(result.image);
  return result;
}

}  // namespace unet
