// Background carved between touching objects, so that a network that only knows classes can tell instances apart.
#pragma once

#include "unet/config.h"
#include "unet/image.h"

namespace unet {

/// Classes with a separation border. A pixel of an instance becomes class 0 where it touches another instance of its
/// class: under `freiburg` if one of its neighbours above, above left, above right or to the left is one (one-sided gap
/// of one pixel), under `sym` if any of its eight neighbours is one (two-sided gap). In both cases no two instances of
/// a class stay 8-adjacent. All comparisons read the given instances, never the carved ones.
///
/// instances [H,W,1]: id > 0, 0 background, -1 ignore. classes [H,W,1], any class numbers; -1 stays -1.
/// Throws ShapeError when the shapes differ. Source: the paper says "morphological operations"; the one-sided rule is
/// that of Freiburg's later U-Net plugin.
LabelMap separate_instances(const LabelMap& instances, const LabelMap& classes, SeparationBorder border);

/// The same where every instance is of class 1 and ignored pixels are those of instance -1.
LabelMap separate_instances(const LabelMap& instances, SeparationBorder border);

}  // namespace unet
