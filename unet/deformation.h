// Random smooth displacement fields: the elastic part of the augmentation.
#pragma once

#include <memory>

#include "unet/config.h"
#include "unet/random.h"
#include "unet/tile.h"

namespace unet {

/// A displacement in px for every pixel of a tile.
class DisplacementField {
 public:
  virtual ~DisplacementField() = default;
  /// Displacements of row y, 0 <= y < height: dy and dx, [width] each.
  virtual void row(int64_t y, float* dy, float* dx) const = 0;
};

/// Piecewise bicubic field on a regular grid of nodes.
class CubicField final : public DisplacementField {
 public:
  /// Weight of each of a segment's four nodes as a polynomial: weight m at position t in [0,1] is sum_k [m][k] t^k.
  using Basis = std::array<std::array<double, 4>, 4>;

  /// Through the given 3x3 nodes at rows 0, (H-1)/2, H-1 and columns 0, (W-1)/2, W-1: Catmull-Rom, with ghost nodes
  /// outside by linear extrapolation. Reproduces linear fields. nodes [3,3,2] are (dy, dx) in px.
  static CubicField catmull_rom(Size tile, const Grid<double>& nodes);
  /// Uniform B-spline, which approximates its nodes. nodes [floor(H/spacing) + 4, floor(W/spacing) + 4, 2] in px; node
  /// (i,j) lies at ((i-1) spacing, (j-1) spacing).
  static CubicField b_spline(Size tile, double spacing_px, const Grid<double>& nodes);

  void row(int64_t y, float* dy, float* dx) const override;

 private:
  /// Where the pixels of one axis lie among the nodes. Segment e reads nodes e .. e+3.
  struct Axis {
    Axis(int64_t length, double spacing_px, int64_t segments);
    std::vector<int64_t> begin;   // first pixel of each segment, and the length
    std::vector<float> position;  // t of each pixel in its segment
  };
  CubicField(const Basis& basis, Axis rows, Axis columns, Grid<double> nodes)
      : basis_(basis), rows_(std::move(rows)), columns_(std::move(columns)), nodes_(std::move(nodes)) {}

  Basis basis_;
  Axis rows_, columns_;
  Grid<double> nodes_;
};

/// Independent uniform displacements in [-1,1) px per pixel, smoothed by a Gaussian of `sigma_px` (cut off at 4 sigma)
/// and multiplied by alpha. Rms per component: alpha / (2 sigma sqrt(3 pi)). Source: Simard et al. 2003.
class SmoothedNoiseField final : public DisplacementField {
 public:
  SmoothedNoiseField(Size tile, double alpha, double sigma_px, RandomStream random);
  void row(int64_t y, float* dy, float* dx) const override;

 private:
  Image dy_, dx_;
};

/// Root mean square in px of each component of draw_field()'s displacements, over a tile and over all draws. grid3:
/// 157/210 of elastic_sigma; bspline: about 151/315 of it; simard: alpha / (2 sigma sqrt(3 pi)); none: 0.
double rms_displacement(const AugmentationConfig& config, Size tile);

/// The field of a sample. `none` gives none. grid3 (Ronneberger et al. 2015: "random displacement vectors on a coarse 3
/// by 3 grid", "bicubic interpolation") and bspline (Freiburg's later Caffe layer) draw normal numbers of standard
/// deviation config.elastic_sigma for each component of each node.
std::unique_ptr<DisplacementField> draw_field(const AugmentationConfig& config, Size tile, uint64_t seed,
                                              uint32_t sample);

}  // namespace unet
