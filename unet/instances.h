// From classes to instances: separate objects of an image.
#pragma once

#include "unet/components.h"

namespace unet {

struct InstanceOptions {
  Connectivity connectivity = Connectivity::four;  // of objects; background joins by the other one
  bool fill_holes = false;                         // see fill_holes()
  int64_t min_area_px = 0;                         // smaller objects are left out; counts before regrowth
  double split = 0;                                // see split_instances(); 0: none are split
  bool regrow = false;                             // see regrow_separation()
};

/// Gives every region of background (label 0) that does not reach the edge of the image the label around it, where that
/// is only one. Islands of that label inside of the region become part of the whole. `connectivity` is the one of the
/// objects: background joins by corners where objects do not, and the other way round.
void fill_holes(LabelMap& labels, Connectivity connectivity);

/// Gives the border that separate_instances() leaves between instances back to them: a background pixel that touches an
/// instance and has another one on the opposite side, at most two pixels away (border pixels are one or two wide),
/// joins the one it touches; where there are several, the first to the right, below, to the left, above, or at a corner
/// in the same turn. Right and below come first because a border of one pixel was taken from there. Instances neither
/// merge nor grow into open background.
void regrow_separation(LabelMap& ids);

/// Divides instances that weak bridges join. What stays connected where `probability` is at least options.split, holes
/// filled and min_area_px large, is a seed; an instance with two seeds or more is divided among them, its pixels in the
/// order of falling probability, each to a neighbour's part (first come, first served where equal). Others stay as
/// they are, numbers change. This is a watershed from markers: Meyer, Un algorithme optimal pour la ligne de partage
/// des eaux, 1991. Throws ShapeError unless sizes agree.
void split_instances(Components& found, const Image& probability, const InstanceOptions& options);

/// Connected objects of `classes` (0 is background), numbered from 1 in row-major order of their first pixels: holes
/// are filled, then components found, small ones dropped, and the separation border given back. Where options.split is
/// above 0, components are split by `probability` (of not being background) before holes are filled: background that
/// several parts enclose together stays. Throws ShapeError unless `classes` has one channel.
Components find_instances(LabelMap classes, const InstanceOptions& options, const Image& probability = {});

}  // namespace unet
