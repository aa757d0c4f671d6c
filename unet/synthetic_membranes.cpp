// Cells of synthetic nerve tissue: the power diagram of random points in space, some of them joined, seen through a
// wavy coordinate system. Near a pixel everything follows from the few points around it.
#include <algorithm>
#include <array>
#include <cmath>

#include "unet/synthetic.h"
#include "unet/synthetic_noise.h"

namespace unet {
namespace {

constexpr double kSpacing_px = 34;  // of the points, on average
constexpr double kSection_px = 5;   // thickness of a section
constexpr int64_t kMargin = 3;      // lattice cells around the page whose points count too
constexpr int64_t kPlanes = 5;      // lattice planes whose points count: two before and behind the section's
constexpr int64_t kBlock = 8;       // px; pixels that share their list of points
constexpr float kReach_px = 10;     // membranes farther away than this do not matter

constexpr float kMembraneGray = 58, kOrganelleGray = 60, kCytoplasmGray = 165;

struct Vesicle {
  float y, x, z, radius;  // px; y and x from its point, z from the section
};

/// A point of the diagram and what lies around it.
struct Point {
  float y = 0, x = 0, z = 0;  // px; z from the section
  float bias = 0;             // z^2 + lift^2: its power distance to a pixel is dy^2 + dx^2 + bias
  size_t cell = 0;            // index of the last point that it is joined with
  float shade = 0;            // of the cell's cytoplasm, gray values
  float mitochondrion = 0;    // length of its half axis, px; 0: none
  float squeeze = 1, depth = 1, cosine = 1, sine = 0;  // other half axes; direction of the first one
  std::array<Vesicle, 5> vesicles{};
};

/// All points that a page can see.
struct Volume {
  int64_t rows, columns;      // of the lattice
  std::vector<Point> points;  // [kPlanes, rows, columns], one in each cell of the lattice
};

Volume make_volume(int64_t height, int64_t width, uint64_t seed, double z_px) {
  const auto lattice_cells = [](int64_t side_px) {
    return static_cast<int64_t>(std::ceil(static_cast<double>(side_px) / kSpacing_px)) + 2 * kMargin;
  };
  const int64_t rows = lattice_cells(height), columns = lattice_cells(width);
  const auto first_plane = static_cast<int64_t>(std::floor(z_px / kSpacing_px)) - kPlanes / 2;
  std::vector<Point> points;
  for (int64_t plane = first_plane; plane < first_plane + kPlanes; ++plane) {
    for (int64_t row = 0; row < rows; ++row) {
      RandomStream stream = lattice_row({seed, Purpose::synthetic_shape, 0}, plane, row);
      const auto uniform = [&stream](double low, double high) { return static_cast<float>(stream.uniform(low, high)); };
      const auto coordinate = [&stream](int64_t lattice_cell) {
        return static_cast<float>((static_cast<double>(lattice_cell) + stream.uniform(0.05, 0.95)) * kSpacing_px);
      };
      for (int64_t column = 0; column < columns; ++column) {
        Point point{.y = coordinate(row - kMargin), .x = coordinate(column - kMargin)};
        point.z = static_cast<float>((static_cast<double>(plane) + stream.uniform(0.05, 0.95)) * kSpacing_px - z_px);
        const float lift = uniform(0, 16);
        point.bias = point.z * point.z + lift * lift;

        const float joint = uniform(0, 1);
        point.cell = points.size();
        if (joint < 0.25F && column + 1 < columns) point.cell += 1;
        if (joint > 0.75F && row + 1 < rows) point.cell += static_cast<size_t>(columns);

        point.shade = uniform(-22, 14);
        point.mitochondrion = stream.below(100) < 75 ? uniform(7, 16) : 0;
        point.squeeze = uniform(0.5, 0.8);
        point.depth = uniform(0.8, 1.5);
        const float angle = uniform(0, M_PI);
        point.cosine = std::cos(angle);
        point.sine = std::sin(angle);
        for (Vesicle& vesicle : point.vesicles) {
          vesicle = {uniform(-13, 13), uniform(-13, 13), point.z + uniform(-13, 13), uniform(2.5, 4)};
        }
        points.push_back(point);
      }
    }
  }
  for (auto point = points.rbegin(); point != points.rend(); ++point) {  // a point is joined with later ones only
    const Point& next = points[point->cell];
    point->cell = next.cell;
    point->shade = next.shade;
  }
  return {rows, columns, std::move(points)};
}

/// Dark organelles at (dy, dx) px from their point, 0 (none) .. 1.
float organelle_darkness(const Point& point, float dy, float dx) {
  float darkness = 0;
  if (point.mitochondrion > 0) {
    const float along = (point.cosine * dx + point.sine * dy) / point.mitochondrion;
    const float across = (point.cosine * dy - point.sine * dx) / (point.mitochondrion * point.squeeze);
    const float behind = point.z / (point.mitochondrion * point.depth);
    const float radius = std::sqrt(along * along + across * across + behind * behind);
    if (radius < 1.1F) {
      const float cristae = 0.16F * std::sin(point.mitochondrion * along * 1.3F + 2 * across);
      const float rim = smooth_step((radius - 0.7F) / 0.2F);
      darkness = (0.72F + cristae * (1 - rim) + 0.4F * rim) * smooth_step((1.1F - radius) / 0.2F);
    }
  }
  for (const Vesicle& vesicle : point.vesicles) {
    const float y = dy - vesicle.y, x = dx - vesicle.x;
    const float radius = std::sqrt(y * y + x * x + vesicle.z * vesicle.z);
    darkness = std::max(darkness, 0.9F * smooth_step(2 - 1.3F * std::abs(radius - vesicle.radius)));
  }
  return darkness;
}

/// What surrounds a pixel.
struct Surroundings {
  const Point* point;  // the nearest one, in power distance
  float membrane_px;   // to the nearest membrane within the page, at most kReach_px
  float slant;         // of that membrane: 1 upright, towards 0 lying in the section
  float clearance_px;  // to the region of any other point, at most kReach_px
};

Surroundings surroundings(const std::vector<const Point*>& near, float y, float x) {
  const auto power = [y, x](const Point& point) {
    const float dy = point.y - y, dx = point.x - x;
    return dy * dy + dx * dx + point.bias;
  };
  const Point* nearest = nullptr;
  float smallest = INFINITY;
  for (const Point* point : near) {
    if (const float p = power(*point); p < smallest) {
      smallest = p;
      nearest = point;
    }
  }
  // The points' bisecting plane cuts the page in a line, (difference of powers) / (2 distance within the page) away.
  float membrane = kReach_px * kReach_px, clearance = membrane, slant = 1;
  for (const Point* point : near) {
    if (point == nearest) continue;
    const float dy = point->y - nearest->y, dx = point->x - nearest->x, dz = point->z - nearest->z;
    const float within = std::max(dy * dy + dx * dx, 1.0F), difference = power(*point) - smallest;
    const float squared = difference * difference / (4 * within);
    clearance = std::min(clearance, squared);
    if (point->cell != nearest->cell && squared < membrane) {
      membrane = squared;
      slant = within / (within + dz * dz);
    }
  }
  return {nearest, std::sqrt(membrane), std::sqrt(slant), std::sqrt(clearance)};
}

/// The points that matter for pixels within `radius` px of (y, x): by the triangle inequality, as a pixel's power
/// distance is the square of a distance in four dimensions.
void select_near(const Volume& volume, float y, float x, float radius, std::vector<const Point*>& near) {
  const auto distance = [y, x](const Point& point) {
    const float dy = point.y - y, dx = point.x - x;
    return std::sqrt(dy * dy + dx * dx + point.bias);
  };
  const auto visit_neighbourhood = [&](const auto& visit) {
    const auto row = static_cast<int64_t>(y / kSpacing_px) + kMargin;
    const auto column = static_cast<int64_t>(x / kSpacing_px) + kMargin;
    for (int64_t plane = 0; plane < kPlanes; ++plane) {
      for (int64_t r = std::max<int64_t>(row - 2, 0); r <= std::min(row + 2, volume.rows - 1); ++r) {
        for (int64_t c = std::max<int64_t>(column - 2, 0); c <= std::min(column + 2, volume.columns - 1); ++c) {
          visit(volume.points[static_cast<size_t>((plane * volume.rows + r) * volume.columns + c)]);
        }
      }
    }
  };
  float smallest = INFINITY;
  visit_neighbourhood([&](const Point& point) { smallest = std::min(smallest, distance(point)); });
  near.clear();
  visit_neighbourhood([&](const Point& point) {
    if (distance(point) <= smallest + 2 * (radius + kReach_px)) near.push_back(&point);
  });
}

/// Makes smooth fields of the volume, where the page's section cuts them.
struct Fields {
  int64_t height, width;
  uint64_t seed;
  double z_px;

  Image operator()(uint32_t index, double period_px, Purpose purpose = Purpose::synthetic_shape) const {
    return smooth_noise(height, width, {seed, purpose, index}, period_px, z_px / period_px);
  }
};

}  // namespace

SyntheticPage synthetic_membranes(int64_t height, int64_t width, uint64_t seed, int64_t page) {
  check_page("synthetic_membranes", height, width, page);
  const double z_px = static_cast<double>(page) * kSection_px;
  const Volume volume = make_volume(height, width, seed, z_px);
  const Fields field{height, width, seed, z_px};
  const Image bend_y = field(1, 45), bend_x = field(2, 45), ripple_y = field(3, 13), ripple_x = field(4, 13);
  const Image thickness = field(5, 25), contrast = field(6, 20);
  const Image clouds = field(0, 60, Purpose::synthetic_texture), texture = field(1, 5, Purpose::synthetic_texture);

  SyntheticPage result{Image(height, width), LabelMap(height, width)};
  std::vector<const Point*> near;
  for (int64_t top = 0; top < height; top += kBlock) {
    for (int64_t left = 0; left < width; left += kBlock) {
      const int64_t bottom = std::min(top + kBlock, height), right = std::min(left + kBlock, width);
      const auto wavy_y = [&](int64_t y, int64_t x) {
        return static_cast<float>(y) + 9 * bend_y.at(y, x) + 2 * ripple_y.at(y, x);
      };
      const auto wavy_x = [&](int64_t y, int64_t x) {
        return static_cast<float>(x) + 9 * bend_x.at(y, x) + 2 * ripple_x.at(y, x);
      };
      const int64_t middle_y = (top + bottom) / 2, middle_x = (left + right) / 2;
      const float center_y = wavy_y(middle_y, middle_x), center_x = wavy_x(middle_y, middle_x);
      float radius = 0;
      for (int64_t y = top; y < bottom; ++y) {
        for (int64_t x = left; x < right; ++x) {
          radius = std::max(radius, std::hypot(wavy_y(y, x) - center_y, wavy_x(y, x) - center_x));
        }
      }
      select_near(volume, center_y, center_x, radius, near);

      for (int64_t y = top; y < bottom; ++y) {
        for (int64_t x = left; x < right; ++x) {
          const float wy = wavy_y(y, x), wx = wavy_x(y, x);
          const Surroundings here = surroundings(near, wy, wx);
          const float half_px = 2.1F + 0.8F * thickness.at(y, x);
          const float membrane = smooth_step((half_px + 0.7F - here.membrane_px) / 1.4F) * (0.4F + 0.6F * here.slant) *
                                 (0.75F + 0.35F * contrast.at(y, x));
          const float organelle = organelle_darkness(*here.point, wy - here.point->y, wx - here.point->x) *
                                  smooth_step((here.clearance_px - half_px - 0.5F) / 2);
          float gray = kCytoplasmGray + here.point->shade + 10 * clouds.at(y, x) + 16 * texture.at(y, x);
          gray += organelle * (kOrganelleGray - gray);
          gray += membrane * (kMembraneGray - gray);
          result.image.at(y, x) = gray;
          result.labels.at(y, x) = here.membrane_px > half_px ? 255 : 0;
        }
      }
    }
  }

  const auto step = static_cast<uint32_t>(page);
  add_grain(result.image, 30, {seed, Purpose::synthetic_texture, step});
  blur(result.image);
  add_grain(result.image, 11, {seed, Purpose::synthetic_noise, step});
  round_to_bytes(result.image);
  return result;
}

}  // namespace unet
