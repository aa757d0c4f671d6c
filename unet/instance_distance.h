// Distances to the nearest and to the second nearest object, the ingredients of the border weight.
#pragma once

#include <limits>

#include "unet/image.h"

namespace unet {

/// Squared distance where the image holds too few instances.
inline constexpr int64_t kNoInstance = std::numeric_limits<int64_t>::max();

/// Squared Euclidean distances in px^2 between pixel centres, exact. 0 inside of an instance; first <= second.
struct InstanceDistances {
  Grid<int64_t> first;   // [H,W,1] to the nearest instance
  Grid<int64_t> second;  // [H,W,1] to the nearest pixel of any other instance
};

/// Both distances for all pixels of an instance map [H,W,1] (id > 0; 0 and below belong to no instance). Time and
/// memory are linear in the pixels, whatever the number of instances. See Note [Two nearest labels]. Throws ShapeError
/// unless there is one channel.
InstanceDistances instance_distances(const LabelMap& instances);

}  // namespace unet
