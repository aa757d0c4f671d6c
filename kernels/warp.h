// Random deformation of a training page: rotation, shift and a smooth displacement in one pass of sampling.
#pragma once

#include "kernels/context.h"
#include "kernels/mirror.h"

namespace unet::kernels {

/// Where a tile lies on its page. Read when the operation runs, so that a captured sequence sees each step's own.
struct WarpPose {
  int64_t page = 0;                      // image of x
  int64_t base_y = 0, base_x = 0;        // px; the position below is relative to it, for precision
  float centre_y = 0, centre_x = 0;      // px; page position of the tile's centre less the base
  float yy = 1, yx = 0, xy = 0, xx = 1;  // rotation and flips
};

/// How displacements are interpolated between their nodes, which carry one ring of ghost nodes around them.
enum class FieldBasis : uint8_t {
  none,         // no displacement
  dense,        // a node per pixel of the tile, no ghosts: displacements as they are
  catmull_rom,  // cubic through the nodes
  b_spline      // uniform cubic B-spline, which approximates them
};

/// y[0,i,j,c] = x at q(top+i, left+j),  q(p) = base + centre + M (p - (side-1)/2 + u(p)),  M = (yy yx; xy xx).
///
/// u is the displacement in px of tile pixel p: the tensor product of cubic weights of the 4x4 nodes around it, node
/// (a,b) at tile position ((a-1) spacing_y, (b-1) spacing_x). float: x is interpolated bilinearly; int32_t: the pixel
/// nearest to q, at floor(q + 0.5). x is continued by mirroring. Positions are computed in float relative to the base;
/// f32 results of targets differ by rounding. Throws ShapeError.
/// Source: Ronneberger et al. 2015, section 3.1; order of rotation and displacement as in the authors' later layers.
template <class T>
struct Warp {
  using Element = T;  // float or int32_t; double on the reference target
  static constexpr const char* kName = "warp";

  View<const T> x;                 // [P,H,W,C] pages
  const WarpPose* pose = nullptr;  // [1] in the target's memory; its page lies in [0,P)
  FieldBasis basis = FieldBasis::none;
  View<const float> nodes;             // [1,A,B,2] (dy,dx) in px; empty without displacement
  float spacing_y = 1, spacing_x = 1;  // px between nodes, above zero
  int64_t side_y = 0, side_x = 0;      // of the tile, px
  int64_t top = 0, left = 0;           // of y in the tile, px
  View<T> y;                           // [1,h,w,C]

  void check() const;
};

/// Weights of four neighbouring nodes at position t in [0,1] between the middle two.
struct CubicWeights {
  float node[4];
};
UNET_HOST_DEVICE inline CubicWeights cubic_weights(FieldBasis basis, float t) {
  if (basis == FieldBasis::catmull_rom) {
    return {{t * (-0.5F + t * (1 - 0.5F * t)), 1 + t * t * (-2.5F + 1.5F * t), t * (0.5F + t * (2 - 1.5F * t)),
             t * t * (-0.5F + 0.5F * t)}};
  }
  constexpr float kSixth = 1.0F / 6;
  const float r = 1 - t;
  return {
      {kSixth * r * r * r, kSixth * (4 + t * t * (3 * t - 6)), kSixth * (1 + 3 * t * (1 + t * r)), kSixth * t * t * t}};
}

/// A page position as whole pixel and fraction in [0,1).
struct WarpPosition {
  int64_t y, x;
  float fraction_y, fraction_x;
};

/// q of tile pixel (i,j).
template <class T>
UNET_HOST_DEVICE inline WarpPosition warp_position(const Warp<T>& op, const WarpPose& pose, int64_t i, int64_t j) {
  float dy = 0, dx = 0;
  if (op.basis == FieldBasis::dense) {
    const float* node = &op.nodes(0, i, j, 0);
    dy = node[0], dx = node[1];
  } else if (op.basis != FieldBasis::none) {
    const float at_y = static_cast<float>(i) / op.spacing_y, at_x = static_cast<float>(j) / op.spacing_x;
    int a = static_cast<int>(at_y), b = static_cast<int>(at_x);
    const int last_a = static_cast<int>(op.nodes.h) - 4, last_b = static_cast<int>(op.nodes.w) - 4;
    a = a < last_a ? a : last_a, b = b < last_b ? b : last_b;
    const CubicWeights down = cubic_weights(op.basis, at_y - static_cast<float>(a));
    const CubicWeights across = cubic_weights(op.basis, at_x - static_cast<float>(b));
    for (int m = 0; m < 4; ++m) {
      float sum_y = 0, sum_x = 0;
      for (int k = 0; k < 4; ++k) {
        const float* node = &op.nodes(0, a + m, b + k, 0);
        sum_y += across.node[k] * node[0], sum_x += across.node[k] * node[1];
      }
      dy += down.node[m] * sum_y, dx += down.node[m] * sum_x;
    }
  }
  const float from_y = static_cast<float>(i) - static_cast<float>(op.side_y - 1) / 2 + dy;
  const float from_x = static_cast<float>(j) - static_cast<float>(op.side_x - 1) / 2 + dx;
  const float q_y = pose.centre_y + (pose.yy * from_y + pose.yx * from_x);
  const float q_x = pose.centre_x + (pose.xy * from_y + pose.xx * from_x);
  int64_t y = static_cast<int64_t>(q_y), x = static_cast<int64_t>(q_x);  // towards zero
  y -= q_y < static_cast<float>(y) ? 1 : 0, x -= q_x < static_cast<float>(x) ? 1 : 0;
  return {pose.base_y + y, pose.base_x + x, q_y - static_cast<float>(y), q_x - static_cast<float>(x)};
}

/// x at q.
template <class T>
UNET_HOST_DEVICE inline T warp_value(const Warp<T>& op, const WarpPose& pose, const WarpPosition& q, int64_t c) {
  if constexpr (std::is_same_v<T, int32_t>) {
    const int64_t y = q.y + (q.fraction_y >= 0.5F ? 1 : 0), x = q.x + (q.fraction_x >= 0.5F ? 1 : 0);
    return op.x(pose.page, mirror(y, op.x.h), mirror(x, op.x.w), c);
  } else {
    const int64_t y0 = mirror(q.y, op.x.h), y1 = mirror(q.y + 1, op.x.h);
    const int64_t x0 = mirror(q.x, op.x.w), x1 = mirror(q.x + 1, op.x.w);
    const T a = op.x(pose.page, y0, x0, c), b = op.x(pose.page, y0, x1, c);
    const T d = op.x(pose.page, y1, x0, c), e = op.x(pose.page, y1, x1, c);
    const T above = a + q.fraction_x * (b - a), below = d + q.fraction_x * (e - d);
    return above + q.fraction_y * (below - above);
  }
}

UNET_DECLARE_OPERATION(Warp);

}  // namespace unet::kernels
