// Pages that look like microscopy, with exact labels: data for examples and tests that nobody has to download.
#pragma once

#include "unet/image.h"

namespace unet {

struct SyntheticPage {
  Image image;      // [H,W,1] gray values, whole numbers in 0..255
  LabelMap labels;  // [H,W,1]
};

/// One section of nerve tissue as an electron microscope shows it (the look of the ISBI 2012 challenge): cells between
/// dark membranes 2 to 6 px wide, some of them faint or cut at a slant; inside, dark mitochondria and vesicles, so that
/// gray values alone do not tell a membrane. Labels: 255 cell, 0 membrane. Consecutive pages are consecutive sections
/// of one volume. Equal arguments give an equal page. Throws ShapeError for sides below 1 px, ConfigError for a
/// negative page.
SyntheticPage synthetic_membranes(int64_t height, int64_t width, uint64_t seed, int64_t page);

/// Bright roundish cells on a dark background, both unevenly lit; many touch. Labels: 0 background, then the numbers of
/// the cells, each of which is one connected region (of pixels that share a side). Pages are independent of each other.
/// Determinism and errors as above.
SyntheticPage synthetic_cells(int64_t height, int64_t width, uint64_t seed, int64_t page);

}  // namespace unet
