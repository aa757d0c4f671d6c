// Sizes of an unpadded U-Net, and the overlap-tile strategy: which windows of an image to run so that every output
// pixel is computed once. Source: Ronneberger et al. 2015, section 2 and Fig. 2.
#pragma once

#include <functional>
#include <vector>

#include "kernels/types.h"
#include "unet/image.h"

namespace unet {

struct Size {
  int64_t height = 0, width = 0;  // px
  bool operator==(const Size&) const = default;
  int64_t pixels() const { return height * width; }
};

struct Rect {
  int64_t y = 0, x = 0, height = 0, width = 0;  // px
  bool operator==(const Rect&) const = default;
};

/// Sides along one axis of a U-Net with `depth` poolings: per level two unpadded 3x3 convolutions down and two up. With
/// b the side that enters the lowest level: input = 2^depth b + 4 (2^depth - 1), output = input - (12 2^depth - 8).
class TileRule {
 public:
  /// Throws ConfigError unless depth is 1 .. 6.
  explicit TileRule(int depth);

  int depth() const { return depth_; }
  /// Distance between neighbouring valid sides, and between pooling windows of the lowest level: 2^depth px.
  int64_t step() const { return int64_t{1} << depth_; }
  /// Pixels of context that the output loses on each side: 92 for depth 4.
  int64_t margin() const { return 6 * step() - 4; }
  /// Pixels cut from each side of the skip connection of `level` (0 is the finest): 88, 40, 16, 4 for depth 4.
  int64_t skip_crop(int level) const;

  /// Whether every pooling meets an even side and at least one output pixel is left.
  bool is_valid(int64_t input_px) const;
  /// Output side of a valid input side. Throws ShapeError that names the nearest valid sides.
  int64_t output(int64_t input_px) const;
  int64_t smallest_input() const { return input_covering(1); }
  /// The smallest valid input side whose output has at least `output_px` pixels.
  int64_t input_covering(int64_t output_px) const;

  /// Multiply-adds of one forward pass over a tile of valid sides, in units of the squared channel count of level 0;
  /// channels double per level. Leaves out the layers with a fixed channel count: first convolution and classifier.
  double work(Size input) const;

 private:
  int depth_;
};

/// How far apart tiles lie. See Note [Tile phase].
enum class TileStride : uint8_t {
  phase,   // the largest multiple of 2^depth within the output: tiled output equals the output of one large tile
  release  // the output side, as the authors' 2015 release did: other, equally valid numbers
};

// Note [Tile phase]: max pooling groups pixels in windows that start at the tile's first pixel. Two tiles agree on a
// common output pixel only if their windows coincide on all levels, that is if their origins differ by a multiple of
// 2^depth. Output sides are 4 (mod 2^depth) from depth 3 on, so tiles laid edge to edge never agree: neighbours must
// overlap by 4 px.

struct TilePlan {
  struct Tile {
    Rect input;  // what the network reads, in image coordinates; mirrored where it lies outside of the image
    Rect keep;   // the pixels that this tile decides; disjoint, inside the image, together the whole image
  };
  Size input, output;       // of every tile
  int64_t margin = 0;       // px; output pixel (0,0) of a tile is image pixel (input.y + margin, input.x + margin)
  std::vector<Tile> tiles;  // in row-major order; of overlapping tiles the first keeps the pixels
};

/// Tiles of one size over an image. Throws ShapeError for an invalid tile size, for an empty image and where tiles of
/// this size cannot advance.
TilePlan plan_tiles(const TileRule& rule, Size image, Size tile_input, TileStride stride = TileStride::phase);

/// The tile size of at most `max_pixels` input pixels that covers the image with the least work. Throws ConfigError
/// where no usable tile is that small; the message names the smallest.
Size choose_tile(const TileRule& rule, Size image, int64_t max_pixels, TileStride stride = TileStride::phase);

/// Reads a window that lies inside of the image, such as a part of a TIFF page: [window.height, window.width,
/// channels].
using ReadWindow = std::function<Image(const Rect& window)>;

/// The window of an image that is continued by mirroring on all sides. Reads once, no more than the window needs.
Image extract_tile(const ReadWindow& read, Size image, const Rect& window);
Image extract_tile(const Image& image, const Rect& window);

}  // namespace unet
