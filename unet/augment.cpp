#include "unet/augment.h"

#include <cmath>
#include <memory>
#include <numbers>
#include <optional>

#include "unet/deformation.h"
#include "unet/gray_curve.h"
#include "unet/random.h"
#include "unet/tile.h"

namespace unet {
namespace {

/// Tile offset from its centre to page position: p = centre + a * offset.
struct Affine {
  double yy = 1, yx = 0, xy = 0, xx = 1;
  double centre_y = 0, centre_x = 0;
};

/// Where a row of tile pixels lies on the page: y[count], x[count].
class Positions {
 public:
  Positions(const Affine& affine, const DisplacementField* field, int64_t tile_px)
      : affine_(affine),
        field_(field),
        middle_(static_cast<double>(tile_px - 1) / 2),
        dy_(static_cast<size_t>(tile_px)),
        dx_(static_cast<size_t>(tile_px)),
        y_(dy_.size()),
        x_(dy_.size()) {}

  void compute(int64_t row) {
    if (field_ != nullptr) field_->row(row, dy_.data(), dx_.data());
    const auto oy = static_cast<float>(static_cast<double>(row) - middle_);
    const auto yy = static_cast<float>(affine_.yy), yx = static_cast<float>(affine_.yx);
    const auto xy = static_cast<float>(affine_.xy), xx = static_cast<float>(affine_.xx);
    const auto cy = static_cast<float>(affine_.centre_y), cx = static_cast<float>(affine_.centre_x);
    const auto middle = static_cast<float>(middle_);
    for (size_t i = 0; i < y_.size(); ++i) {
      const float fy = oy + dy_[i], fx = static_cast<float>(i) - middle + dx_[i];
      y_[i] = cy + yy * fy + yx * fx;
      x_[i] = cx + xy * fy + xx * fx;
    }
  }
  float y(int64_t i) const { return y_[static_cast<size_t>(i)]; }
  float x(int64_t i) const { return x_[static_cast<size_t>(i)]; }

 private:
  const Affine& affine_;
  const DisplacementField* field_;  // or null
  double middle_;
  std::vector<float> dy_, dx_, y_, x_;
};

/// Bilinear value of every channel at (y, x), mirrored outside: out[channels].
void bilinear(const Image& image, float y, float x, float* out) {
  const float floor_y = std::floor(y), floor_x = std::floor(x);
  const float fy = y - floor_y, fx = x - floor_x;
  auto y0 = static_cast<int64_t>(floor_y), x0 = static_cast<int64_t>(floor_x);
  int64_t y1 = y0 + 1, x1 = x0 + 1;
  if (y0 < 0 || x0 < 0 || y1 >= image.height || x1 >= image.width) {
    y0 = mirror(y0, image.height), y1 = mirror(y1, image.height);
    x0 = mirror(x0, image.width), x1 = mirror(x1, image.width);
  }
  const float* const a = &image.at(y0, x0);
  const float* const b = &image.at(y0, x1);
  const float* const c = &image.at(y1, x0);
  const float* const d = &image.at(y1, x1);
  for (int64_t k = 0; k < image.channels; ++k) {
    const float top = a[k] + fx * (b[k] - a[k]), bottom = c[k] + fx * (d[k] - c[k]);
    out[k] = top + fy * (bottom - top);
  }
}

}  // namespace

Sample draw_sample(const std::vector<TrainingPage>& pages, const TrainingConfig& config, int64_t index) {
  const AugmentationConfig& augmentation = config.augmentation;
  const auto stream = [&](Purpose purpose) {
    return RandomStream(static_cast<uint64_t>(config.run.seed), purpose, static_cast<uint32_t>(index));
  };
  const int64_t side = config.tile.input;
  const TileRule rule(static_cast<int>(config.network.depth));
  const int64_t out = rule.output(side), margin = rule.margin();

  RandomStream position = stream(Purpose::tile_position);
  const TrainingPage& page = pages[static_cast<size_t>(position.below(std::ssize(pages)))];
  // A tile of odd or even side has its centre on or between pixels; so that an undeformed tile falls onto pixels, the
  // drawn corner is a whole number.
  const double half = static_cast<double>(side - 1) / 2;
  const auto centre = [&](int64_t length) {
    const auto at = static_cast<double>(position.below(length));
    const double jitter = std::floor(position.uniform(-augmentation.shift, augmentation.shift) + 0.5);
    return at + jitter - std::floor(half) + half;
  };
  Affine affine;
  affine.centre_y = centre(page.image.height);
  affine.centre_x = centre(page.image.width);
  if (augmentation.rotation) {
    const double angle = stream(Purpose::rotation).uniform(0, 2 * std::numbers::pi);
    affine.yy = std::cos(angle), affine.yx = std::sin(angle);
    affine.xy = -std::sin(angle), affine.xx = std::cos(angle);
  }
  if (augmentation.flips) {
    RandomStream flip = stream(Purpose::flip);
    if (flip.coin()) affine.yy = -affine.yy, affine.xy = -affine.xy;
    if (flip.coin()) affine.yx = -affine.yx, affine.xx = -affine.xx;
  }
  const std::unique_ptr<DisplacementField> field =
      draw_field(augmentation, {side, side}, static_cast<uint64_t>(config.run.seed), static_cast<uint32_t>(index));
  std::optional<GrayCurve> curve;
  if (augmentation.gray) {
    RandomStream gray = stream(Purpose::gray_curve);
    curve.emplace(augmentation, gray);
  }

  Sample sample{Image(side, side, page.image.channels), LabelMap(out, out), Image(out, out)};
  Positions at(affine, field.get(), side);
  for (int64_t y = 0; y < side; ++y) {
    at.compute(y);
    for (int64_t x = 0; x < side; ++x) {
      float* const v = &sample.image.at(y, x);
      bilinear(page.image, at.y(x), at.x(x), v);
      for (int64_t c = 0; c < page.image.channels; ++c) v[c] = (curve ? (*curve)(v[c]) : v[c]) - page.centre;
    }
    const int64_t oy = y - margin;
    if (oy < 0 || oy >= out) continue;
    for (int64_t ox = 0; ox < out; ++ox) {
      const float py = at.y(ox + margin), px = at.x(ox + margin);
      sample.labels.at(oy, ox) = page.classes.at(mirror(static_cast<int64_t>(std::floor(py + 0.5F)), page.image.height),
                                                 mirror(static_cast<int64_t>(std::floor(px + 0.5F)), page.image.width));
      bilinear(page.weights, py, px, &sample.weights.at(oy, ox));
    }
  }
  return sample;
}

}  // namespace unet
