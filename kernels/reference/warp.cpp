#include "kernels/warp.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/reference/loops.h"

namespace unet::kernels {
namespace {

using Displacement = std::array<double, 2>;

// The weight functions written as pieces over the distance d of a node, in nodes.
double weight(FieldBasis basis, double d) {
  d = std::abs(d);
  if (d >= 2) return 0;
  if (basis == FieldBasis::catmull_rom) {  // Keys 1981 with a = -1/2
    return d < 1 ? (1.5 * d - 2.5) * d * d + 1 : ((-0.5 * d + 2.5) * d - 4) * d + 2;
  }
  return d < 1 ? 2.0 / 3 - d * d + d * d * d / 2 : std::pow(2 - d, 3) / 6;
}

template <class T>
Displacement displacement(const Warp<T>& op, int64_t i, int64_t j) {
  if (op.basis == FieldBasis::none) return {0, 0};
  if (op.basis == FieldBasis::dense) return {op.nodes(0, i, j, 0), op.nodes(0, i, j, 1)};
  const double at_y = static_cast<double>(i) / op.spacing_y, at_x = static_cast<double>(j) / op.spacing_x;
  Displacement u{0, 0};
  for (int64_t a = 0; a < op.nodes.h; ++a) {
    for (int64_t b = 0; b < op.nodes.w; ++b) {
      const double w =
          weight(op.basis, at_y - static_cast<double>(a - 1)) * weight(op.basis, at_x - static_cast<double>(b - 1));
      for (int64_t c = 0; c < 2; ++c) u[static_cast<size_t>(c)] += w * static_cast<double>(op.nodes(0, a, b, c));
    }
  }
  return u;
}

}  // namespace

template <class T>
void execute(Reference, const Context&, const Warp<T>& op) {
  const WarpPose& pose = *op.pose;
  const auto pixel = [&](int64_t y, int64_t x, int64_t c) {
    return op.x(pose.page, mirror(y, op.x.h), mirror(x, op.x.w), c);
  };
  reference::for_each_element(op.y, [&](int64_t, int64_t h, int64_t w, int64_t c) {
    const int64_t i = op.top + h, j = op.left + w;
    const Displacement u = displacement(op, i, j);
    const double from_y = static_cast<double>(i) - static_cast<double>(op.side_y - 1) / 2 + u[0];
    const double from_x = static_cast<double>(j) - static_cast<double>(op.side_x - 1) / 2 + u[1];
    const double q_y = pose.centre_y + pose.yy * from_y + pose.yx * from_x;
    const double q_x = pose.centre_x + pose.xy * from_y + pose.xx * from_x;
    if constexpr (std::is_same_v<T, int32_t>) {
      const auto y = static_cast<int64_t>(std::floor(q_y + 0.5)), x = static_cast<int64_t>(std::floor(q_x + 0.5));
      op.y(0, h, w, c) = pixel(pose.base_y + y, pose.base_x + x, c);
    } else {
      const auto y = static_cast<int64_t>(std::floor(q_y)), x = static_cast<int64_t>(std::floor(q_x));
      const double fy = q_y - static_cast<double>(y), fx = q_x - static_cast<double>(x);
      double sum = 0;
      for (int a = 0; a < 2; ++a) {
        for (int b = 0; b < 2; ++b) {
          sum += (a == 1 ? fy : 1 - fy) * (b == 1 ? fx : 1 - fx) * pixel(pose.base_y + y + a, pose.base_x + x + b, c);
        }
      }
      op.y(0, h, w, c) = static_cast<T>(sum);
    }
  });
  reference::clear_padding(op.y);
}

template void execute(Reference, const Context&, const Warp<float>&);
template void execute(Reference, const Context&, const Warp<int32_t>&);
template void execute(Reference, const Context&, const Warp<double>&);

}  // namespace unet::kernels
