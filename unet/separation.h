// Background carved between touching objects, so that a network that only knows classes can tell instances apart.
#pragma once

#include "unet/config.h"
#include "unet/image.h"

namespace unet {

/// Classes with a separation border. A pixel of an instance becomes class 0 where it touches another instance of its
/// class, so that no two instances of a class stay 8-adjacent.
/// - `freiburg`: one of its neighbours above, above left, above right or to the left is one. The gap is one pixel wide
///   where one instance lies above the other, two pixels where they lie side by side: the neighbour above right also
///   takes a pixel from the instance on the left.
/// - `thin`: the same, but neighbours that were taken before no longer count: gaps of one pixel in both directions.
/// - `sym`: any of its eight neighbours is one. Gaps of two pixels, one from each instance.
///
/// instances [H,W,1]: id > 0, 0 background, -1 ignore. classes [H,W,1], any class numbers; -1 stays -1.
/// Throws ShapeError when the shapes differ. Source: the paper says "morphological operations"; `freiburg` is the rule
/// of Freiburg's later U-Net plugin (TrainingSample.java), which compares the given instances, never the carved ones.
LabelMap separate_instances(const LabelMap& instances, const LabelMap& classes, SeparationBorder border);

/// The same where every instance is of class 1 and ignored pixels are those of instance -1.
LabelMap separate_instances(const LabelMap& instances, SeparationBorder border);

}  // namespace unet
