// Fills the ground between basins, leaving dams of one pixel.
#pragma once

#include "unet/image.h"

namespace unet {

/// Grows the basins (ids above 0) over all other pixels, one ring of 4-neighbours at a time; where two meet, a dam of 0
/// is left. Membranes of any width become as thin as the ISBI challenge scores them. Without any basin the whole map is
/// basin 1.
///
/// The order decides where a dam runs, and is the challenge's: first ring by columns, then first come, first served;
/// neighbours left, above, right, below. A pixel that touches a dam before it touches a basin joins the basin. Time is
/// linear in the pixels. Throws ShapeError unless `basins` has one channel.
/// Source: Vincent & Soille, Watersheds in digital spaces, 1991, with two gray levels, as in Fiji.
LabelMap watershed(const LabelMap& basins);

}  // namespace unet
