// Training samples: tiles of the pages, deformed at random.
#pragma once

#include <vector>

#include "unet/training_set.h"

namespace unet {

/// What the network is fed in one step, a tile of T x T pixels and what is to be learned about its centre, o x o.
struct Sample {
  Image image;      // [T,T,C], centre subtracted
  LabelMap labels;  // [o,o,1], -1 ignore
  Image weights;    // [o,o,1]
};

/// Where a tile lies: what is at (oy, ox) from the tile's centre shows page position centre + M (oy, ox).
struct Placement {
  size_t page = 0;                        // index
  double yy = 1, yx = 0, xy = 0, xx = 1;  // M, a rotation or reflection
  double centre_y = 0, centre_x = 0;      // px
};

/// The placement of the sample of this number: page, centre, rotation and flips. All pages are equally likely. The
/// tile's central pixel is drawn uniformly from the page or by label density, then moved by up to
/// config.augmentation.shift.
Placement draw_placement(const std::vector<TrainingPage>& pages, const TrainingConfig& config, int64_t index);

/// The sample of this number: a function of config.run.seed and index alone.
///
/// Output pixel x shows page position q(x) = M(x + u(x)): first the elastic displacement u in tile coordinates, then
/// rotation about the tile's centre (flips before it) and shift to a random centre. Image bilinear, labels nearest,
/// weights bilinear, all continued by mirroring; then the gray-value curve. Seen from the picture the order is the
/// reverse: the rotated picture I(M(.)) is displaced by u, as Simard et al. 2003 deform after the affine map.
///
/// With config.weight_map.update = recompute, instances and uncarved classes of the whole tile are read (nearest),
/// carved and weighted as a page is; the tile's context shows which objects are near the part that is learned. Sources:
/// Ronneberger et al. 2015, section 3.1; order of operations as in the authors' later layers.
Sample draw_sample(const std::vector<TrainingPage>& pages, const TrainingConfig& config, int64_t index);

}  // namespace unet
