// Pictures for people: gray images, weight maps, and predictions over images.
#pragma once

#include "unet/image.h"

namespace unet {

using Picture = Grid<uint8_t>;  // RGB

/// The first channel (or the first three as RGB) of an image, `black` to `white` as 0 to 255.
Picture gray_picture(const Image& image, float black = 0, float white = 1);

/// Values from 0 to `top` from dark blue over green to yellow ("viridis"-like), for weight maps and probabilities; all
/// is dark blue where `top` is 0.
Picture heat_picture(const Image& values, float top);

/// The colours of heat_picture() from 0 to the top, from left to right, as a CSS gradient.
std::string heat_gradient();

/// An image in gray with outlines of the predicted objects (class numbers). Outlines lie on the object's side: yellow
/// for class 1, further classes in colours of their own. With `truth` (class numbers, -1 ignore) wrong pixels are
/// tinted: red where an object is claimed that is not there, blue where one is missed, and ignored pixels are darkened.
Picture overlay_picture(const Image& image, const LabelMap& predicted, const LabelMap* truth = nullptr);

/// Labels to lay over an image, RGBA: classes above 0 are tinted in their colours, each object (id > 0) has an outline,
/// ignored pixels (class -1) are hatched, and the rest is clear. Throws ShapeError for unequal sizes.
Grid<uint8_t> label_overlay(const LabelMap& classes, const LabelMap& objects);

/// The most probable class of every pixel.
LabelMap most_probable(const Image& probabilities);

}  // namespace unet
