#include "unet/field_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace unet {
namespace {

/// Rows of displacements of which the last two are at hand.
struct FieldRows {
  explicit FieldRows(int64_t width) : dy(static_cast<size_t>(width)), dx(dy.size()) {}
  std::vector<float> dy, dx;  // px
};

/// Of x + u(x) between row `above` and `below`, at column x and x + 1.
double jacobian(const FieldRows& above, const FieldRows& below, size_t x) {
  const auto yy = static_cast<double>(below.dy[x] - above.dy[x]),
             yx = static_cast<double>(above.dy[x + 1] - above.dy[x]);
  const auto xy = static_cast<double>(below.dx[x] - above.dx[x]),
             xx = static_cast<double>(above.dx[x + 1] - above.dx[x]);
  return (1 + yy) * (1 + xx) - yx * xy;
}

}  // namespace

FieldStatistics measure_field(const DisplacementField& field, Size tile) {
  FieldStatistics statistics;
  FieldRows above(tile.width), row(tile.width);
  double squares = 0, largest = 0, smallest = std::numeric_limits<double>::infinity();
  for (int64_t y = 0; y < tile.height; ++y) {
    field.row(y, row.dy.data(), row.dx.data());
    for (size_t x = 0; x < row.dy.size(); ++x) {
      const auto dy = static_cast<double>(row.dy[x]), dx = static_cast<double>(row.dx[x]);
      squares += dy * dy + dx * dx;
      largest = std::max(largest, dy * dy + dx * dx);
      if (y > 0 && x + 1 < row.dy.size()) {
        smallest = std::min(smallest, jacobian(above, row, x));
      }
    }
    std::swap(above, row);
  }
  statistics.rms = std::sqrt(squares / static_cast<double>(2 * tile.pixels()));
  statistics.largest = std::sqrt(largest);
  if (std::isfinite(smallest)) statistics.smallest_jacobian = smallest;
  return statistics;
}

FieldStatistics measure_fields(const AugmentationConfig& config, Size tile, uint64_t seed, uint32_t count) {
  FieldStatistics all;
  double squares = 0;
  for (uint32_t sample = 0; sample < count; ++sample) {
    const std::unique_ptr<DisplacementField> field = draw_field(config, tile, seed, sample);
    if (!field) return all;
    const FieldStatistics one = measure_field(*field, tile);
    squares += one.rms * one.rms;
    all.largest = std::max(all.largest, one.largest);
    all.smallest_jacobian =
        sample == 0 ? one.smallest_jacobian : std::min(all.smallest_jacobian, one.smallest_jacobian);
  }
  all.rms = std::sqrt(squares / count);
  return all;
}

}  // namespace unet
