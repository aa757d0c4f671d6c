#include "kernels/warp.h"

namespace unet::kernels {

template <class T>
void Warp<T>::check() const {
  require_present(kName, "x", x);
  require_present(kName, "y", y);
  require_shape(kName, "y", y, 1, y.h, y.w, x.c);
  require_apart(kName, "y", y, "x", x);
  if (pose == nullptr) throw ShapeError(concat(kName, ": pose: expected data, got none"));
  if (top < 0 || left < 0 || top + y.h > side_y || left + y.w > side_x) {
    throw ShapeError(concat(kName, ": y: expected a part of the tile of ", side_y, "x", side_x, ", got ", y.h, "x", y.w,
                            " at (", top, ",", left, ")"));
  }
  if (basis == FieldBasis::none) return;
  require_present(kName, "nodes", nodes);
  if (!nodes.is_nhwc() || nodes.n != 1 || nodes.c != 2) {
    throw ShapeError(concat(kName, ": nodes: expected channels-last [1,A,B,2], got ", nodes.shape_text()));
  }
  if (basis == FieldBasis::dense) {
    require_shape(kName, "nodes", nodes, 1, side_y, side_x, 2);
    return;
  }
  if (!(spacing_y > 0) || !(spacing_x > 0)) {
    throw ShapeError(concat(kName, ": expected a spacing above zero, got ", spacing_y, " and ", spacing_x));
  }
  const auto needed = [](int64_t side, float spacing) {  // an end that falls onto a node needs no node after it
    const double segments = static_cast<double>(side - 1) / static_cast<double>(spacing);
    return static_cast<int64_t>(segments) + (segments > static_cast<double>(static_cast<int64_t>(segments)) ? 4 : 3);
  };
  const int64_t rows = std::max<int64_t>(4, needed(side_y, spacing_y));
  const int64_t columns = std::max<int64_t>(4, needed(side_x, spacing_x));
  if (nodes.h < rows || nodes.w < columns) {
    throw ShapeError(concat(kName, ": nodes: expected at least ", rows, "x", columns, " for a tile of ", side_y, "x",
                            side_x, ", got ", nodes.h, "x", nodes.w));
  }
}

template struct Warp<float>;
template struct Warp<int32_t>;
template struct Warp<double>;

}  // namespace unet::kernels
