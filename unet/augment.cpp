#include "unet/augment.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <optional>

#include "unet/deformation.h"
#include "unet/gray_curve.h"
#include "unet/random.h"
#include "unet/resampling.h"
#include "unet/separation.h"
#include "unet/tile.h"
#include "unet/weight_map.h"

namespace unet {
namespace {

RandomStream sample_stream(const TrainingConfig& config, Purpose purpose, int64_t index) {
  return {static_cast<uint64_t>(config.run.seed), purpose, static_cast<uint32_t>(index)};
}

/// A row of the page, as often as its label density says.
int64_t draw_row(const TrainingPage& page, RandomStream& random) {
  const std::vector<int64_t>& sums = page.row_density;
  if (std::ssize(sums) != page.classes.height + 1 || sums.back() <= 0) {
    throw DataError(
        concat("draw_placement: expected the label density of ", page.name, ", got none; see prepare_weights"));
  }
  const auto drawn = static_cast<int64_t>(random.uniform(0, static_cast<double>(sums.back())));
  return std::upper_bound(sums.begin(), sums.end(), drawn) - sums.begin() - 1;
}

/// A pixel of this row, as often as its label density says.
int64_t draw_column(const TrainingPage& page, int64_t row, RandomStream& random) {
  const auto at = static_cast<size_t>(row);
  int64_t left = random.below(page.row_density[at + 1] - page.row_density[at]);
  int64_t x = 0;
  while (left >= label_density(page.classes.at(row, x))) left -= label_density(page.classes.at(row, x++));
  return x;
}

/// Where the pixels of a square tile lie on the page, row by row: y and x relative to (base_y, base_x), [tile_px] each.
class Positions {
 public:
  Positions(const Placement& placement, const DisplacementField* field, int64_t tile_px)
      : base_y(static_cast<int64_t>(std::floor(placement.centre_y))),
        base_x(static_cast<int64_t>(std::floor(placement.centre_x))),
        y(static_cast<size_t>(tile_px)),
        x(y.size()),
        placement_(placement),
        field_(field),
        middle_(static_cast<float>(tile_px - 1) / 2),
        dy_(y.size()),
        dx_(y.size()) {}

  void compute(int64_t row) {
    if (field_ != nullptr) field_->row(row, dy_.data(), dx_.data());
    const auto yy = static_cast<float>(placement_.yy), yx = static_cast<float>(placement_.yx);
    const auto xy = static_cast<float>(placement_.xy), xx = static_cast<float>(placement_.xx);
    const auto cy = static_cast<float>(placement_.centre_y - static_cast<double>(base_y));
    const auto cx = static_cast<float>(placement_.centre_x - static_cast<double>(base_x));
    const float row_offset = static_cast<float>(row) - middle_;
    for (size_t i = 0; i < y.size(); ++i) {
      const float oy = row_offset + dy_[i], ox = static_cast<float>(static_cast<int32_t>(i)) - middle_ + dx_[i];
      y[i] = cy + (yy * oy + yx * ox);
      x[i] = cx + (xy * oy + xx * ox);
    }
  }

  const int64_t base_y, base_x;  // px
  std::vector<float> y, x;       // px

 private:
  const Placement& placement_;
  const DisplacementField* field_;  // or null: no displacement
  float middle_;                    // px
  std::vector<float> dy_, dx_;      // px
};

}  // namespace

Placement draw_placement(const std::vector<TrainingPage>& pages, const TrainingConfig& config, int64_t index) {
  const AugmentationConfig& augmentation = config.augmentation;
  RandomStream position = sample_stream(config, Purpose::tile_position, index);
  Placement placement{.page = static_cast<size_t>(position.below(std::ssize(pages)))};
  // A tile of odd or even side has its centre on or between pixels; so that an undeformed tile falls onto pixels, the
  // drawn corner is a whole number.
  const double half = static_cast<double>(config.tile.input - 1) / 2;
  const TrainingPage& page = pages[placement.page];
  const bool by_density = augmentation.sampling == TileSampling::density;
  const int64_t row = by_density ? draw_row(page, position) : position.below(page.image.height);
  const auto centre = [&](int64_t drawn) {
    const auto at = static_cast<double>(drawn);
    const double jitter = std::floor(position.uniform(-augmentation.shift, augmentation.shift) + 0.5);
    return at + jitter - std::floor(half) + half;
  };
  placement.centre_y = centre(row);
  placement.centre_x = centre(by_density ? draw_column(page, row, position) : position.below(page.image.width));
  if (augmentation.rotation) {
    const double angle = sample_stream(config, Purpose::rotation, index).uniform(0, 2 * std::numbers::pi);
    placement.yy = std::cos(angle), placement.yx = std::sin(angle);
    placement.xy = -std::sin(angle), placement.xx = std::cos(angle);
  }
  if (augmentation.flips) {
    RandomStream flip = sample_stream(config, Purpose::flip, index);
    if (flip.coin()) placement.yy = -placement.yy, placement.xy = -placement.xy;
    if (flip.coin()) placement.yx = -placement.yx, placement.xx = -placement.xx;
  }
  return placement;
}

namespace {

/// Row by row, what is to be learned of a tile.
class LabelReader {
 public:
  LabelReader(const TrainingPage& page, const TrainingConfig& config)
      : page_(page),
        config_(config.weight_map),
        side_(config.tile.input),
        out_(TileRule(static_cast<int>(config.network.depth)).output(side_)),
        margin_((side_ - out_) / 2),
        labels_(out_, out_),
        weights_(out_, out_) {
    if (!recomputes()) return;
    if (page.uncarved.pixels() != page.instances.pixels()) {
      throw DataError(concat("draw_sample: expected the uncarved classes of ", page.name,
                             " to make its weight maps anew, got none; see prepare_weights"));
    }
    instances_ = LabelMap(side_, side_);
    uncarved_ = LabelMap(side_, side_);
  }

  /// Reads row y of the tile, 0 <= y < side, at the resampler's positions.
  void read(const Resampler& resampler, int64_t y) {
    if (recomputes()) {
      resampler.nearest(page_.instances, 0, side_, &instances_.at(y, 0));
      resampler.nearest(page_.uncarved, 0, side_, &uncarved_.at(y, 0));
    } else if (const int64_t row = y - margin_; row >= 0 && row < out_) {
      resampler.nearest(page_.classes, margin_, out_, &labels_.at(row, 0));
      resampler.bilinear(page_.weights, margin_, out_, &weights_.at(row, 0));
    }
  }

  /// Moves labels and weights into the sample, once all rows are read.
  void finish(Sample& sample) {
    if (recomputes()) {
      const LabelMap carved = separate_instances(instances_, uncarved_, config_.border);
      const Image weights = weight_map(instances_, carved, page_.class_weights, config_);
      for (int64_t y = 0; y < out_; ++y) {
        std::copy_n(&carved.at(y + margin_, margin_), out_, &labels_.at(y, 0));
        std::copy_n(&weights.at(y + margin_, margin_), out_, &weights_.at(y, 0));
      }
    }
    sample.labels = std::move(labels_);
    sample.weights = std::move(weights_);
  }

 private:
  bool recomputes() const { return config_.update == WeightMapUpdate::recompute; }

  const TrainingPage& page_;
  const WeightMapConfig& config_;
  int64_t side_, out_, margin_;    // px
  LabelMap labels_;                // [o,o,1]
  Image weights_;                  // [o,o,1]
  LabelMap instances_, uncarved_;  // [T,T,1], where weights are made anew
};

}  // namespace

Sample draw_sample(const std::vector<TrainingPage>& pages, const TrainingConfig& config, int64_t index) {
  const AugmentationConfig& augmentation = config.augmentation;
  const int64_t side = config.tile.input;
  const Placement placement = draw_placement(pages, config, index);
  const TrainingPage& page = pages[placement.page];
  const std::unique_ptr<DisplacementField> field =
      draw_field(augmentation, {side, side}, static_cast<uint64_t>(config.run.seed), static_cast<uint32_t>(index));
  std::optional<GrayCurve> curve;
  if (augmentation.gray) {
    RandomStream gray = sample_stream(config, Purpose::gray_curve, index);
    curve.emplace(augmentation, gray);
  }

  Sample sample{.image = Image(side, side, page.image.channels)};
  LabelReader labels(page, config);
  Positions at(placement, field.get(), side);
  Resampler resampler({page.image.height, page.image.width}, side);
  for (int64_t y = 0; y < side; ++y) {
    at.compute(y);
    resampler.place(at.base_y, at.base_x, at.y.data(), at.x.data());
    float* const row = &sample.image.at(y, 0);
    resampler.bilinear(page.image, 0, side, row);
    for (int64_t i = 0; i < side * page.image.channels; ++i) row[i] = (curve ? (*curve)(row[i]) : row[i]) - page.centre;
    labels.read(resampler, y);
  }
  labels.finish(sample);
  return sample;
}

}  // namespace unet
