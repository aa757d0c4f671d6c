// Topological mistakes of a segmentation: what remains after warping the truth onto it.
#pragma once

#include "unet/image.h"

namespace unet {

/// Pixels that warping could not bring to agree, by what they do to the topology.
struct WarpingMistakes {
  int64_t splits = 0, merges = 0;
  int64_t hole_additions = 0, hole_deletions = 0;
  int64_t object_additions = 0, object_deletions = 0;

  int64_t total() const {
    return splits + merges + hole_additions + hole_deletions + object_additions + object_deletions;
  }
};

/// Warps the true cells (truth > 0) towards the predicted ones (probability above the threshold) by flipping simple
/// pixels, which change no topology (cells 4-connected, membrane 8-connected), those predicted most surely first, until
/// none is left; what still differs are mistakes. The ground outside the image is membrane.
///
/// A mistake is classified by the warped cells around it; whether a lost cell pixel splits a cell is decided within 20
/// pixels. The challenge's warping error counts splits and merges only. Throws ShapeError unless both have one channel
/// and the same size. Source: Jain et al. 2010, doi 10.1109/CVPR.2010.5539950; Fiji, WarpingError.java.
WarpingMistakes warping_mistakes(const Image& probabilities, const LabelMap& truth, double threshold);

/// Whether flipping a pixel keeps the topology. Bit k: neighbour k is cell, clockwise from the one above (k = 0).
bool is_simple(uint8_t neighbours);

}  // namespace unet
