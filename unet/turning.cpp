#include "unet/turning.h"

#include <algorithm>
#include <cmath>

namespace unet {
namespace {

constexpr int64_t kSpare = 1;  // px around what corners say, for rounding

int64_t floor_to(int64_t value, int64_t step) { return (value >= 0 ? value / step : -ceil_div(-value, step)) * step; }

/// Adds the value between the four pixels around (y, x), where values[0,0] lies at (top, left).
void add_between(const Image& values, int64_t top, int64_t left, double y, double x, float* out) {
  const double row = std::floor(y), column = std::floor(x);
  const auto fy = static_cast<float>(y - row), fx = static_cast<float>(x - column);
  const float* a = &values.at(static_cast<int64_t>(row) - top, static_cast<int64_t>(column) - left);
  const float* b = a + values.width * values.channels;
  for (int64_t c = 0; c < values.channels; ++c, ++a, ++b) {
    const float above = a[0] + fx * (a[values.channels] - a[0]), below = b[0] + fx * (b[values.channels] - b[0]);
    out[c] += above + fy * (below - above);
  }
}

/// The pixels around the corners that `map` gives to a rectangle's corner pixels.
template <class Map>
Rect bounds(const Rect& r, const Map& map) {
  const auto y0 = static_cast<double>(r.y), y1 = static_cast<double>(r.y + r.height - 1);
  const auto x0 = static_cast<double>(r.x), x1 = static_cast<double>(r.x + r.width - 1);
  const auto a = map(y0, x0), b = map(y0, x1), c = map(y1, x0), d = map(y1, x1);
  const auto low = [](double p, double q, double s, double t) {
    return static_cast<int64_t>(std::floor(std::min({p, q, s, t}))) - kSpare;
  };
  const auto end = [](double p, double q, double s, double t) {
    return static_cast<int64_t>(std::floor(std::max({p, q, s, t}))) + 2 + kSpare;
  };
  const int64_t top = low(a.y, b.y, c.y, d.y), left = low(a.x, b.x, c.x, d.x);
  return {.y = top, .x = left, .height = end(a.y, b.y, c.y, d.y) - top, .width = end(a.x, b.x, c.x, d.x) - left};
}

}  // namespace

Turn::Turn(Size image, double radians)
    : image_(image),
      centre_y_(static_cast<double>(image.height / 2)),
      centre_x_(static_cast<double>(image.width / 2)),
      cosine_(std::cos(radians)),
      sine_(std::sin(radians)) {}

Turn::Point Turn::to_image(double v, double u) const {
  return {centre_y_ + cosine_ * v - sine_ * u, centre_x_ + sine_ * v + cosine_ * u};
}

Turn::Point Turn::to_turned(double y, double x) const {
  y -= centre_y_, x -= centre_x_;
  return {cosine_ * y + sine_ * x, cosine_ * x - sine_ * y};
}

Size Turn::window_size(Size kept, int64_t step) const {
  const double c = std::abs(cosine_), s = std::abs(sine_);
  const auto h = static_cast<double>(kept.height - 1), w = static_cast<double>(kept.width - 1);
  // Extent of the corners, whole pixels around it, the spare ones, and the way to the origin.
  const auto side = [&](double extent) { return static_cast<int64_t>(std::ceil(extent)) + 3 + 2 * kSpare + step - 1; };
  return {side(c * h + s * w), side(s * h + c * w)};
}

Rect Turn::window(const Rect& kept, int64_t step) const {
  const Rect needed = bounds(kept, [&](double y, double x) { return to_turned(y, x); });
  const int64_t top = floor_to(needed.y, step), left = floor_to(needed.x, step);
  return {.y = top, .x = left, .height = needed.y + needed.height - top, .width = needed.x + needed.width - left};
}

Image Turn::turned(const ReadWindow& read, const Rect& window) const {
  const Rect from = bounds(window, [&](double v, double u) { return to_image(v, u); });
  const Image source = extract_tile(read, image_, from);
  Image out(window.height, window.width, source.channels);
  for (int64_t v = 0; v < window.height; ++v) {
    for (int64_t u = 0; u < window.width; ++u) {
      const Point p = to_image(static_cast<double>(window.y + v), static_cast<double>(window.x + u));
      add_between(source, from.y, from.x, p.y, p.x, &out.at(v, u));
    }
  }
  return out;
}

void Turn::add_back(const Image& values, const Rect& window, const Rect& kept, Image& sum) const {
  for (int64_t y = 0; y < kept.height; ++y) {
    for (int64_t x = 0; x < kept.width; ++x) {
      const Point p = to_turned(static_cast<double>(kept.y + y), static_cast<double>(kept.x + x));
      add_between(values, window.y, window.x, p.y, p.x, &sum.at(y, x));
    }
  }
}

}  // namespace unet
