// Lines over a picture, as SVG.
#pragma once

#include <string>
#include <vector>

#include "unet/outlines.h"
#include "unet/tile.h"

namespace unet {

/// Colours that stay apart with the common forms of colour blindness (Okabe and Ito 2008), white and black.
enum class Ink : uint8_t { yellow, blue, orange, green, white, black };

/// A place on a page: pixel (y,x) spans y..y+1 and x..x+1.
struct PagePoint {
  double y = 0, x = 0;  // px
};

/// Draws in the coordinates of the page, whatever part of it the picture shows at whatever size. Lines are as wide on
/// the screen at any size, and those that are not black have a dark edge, so that they show on bright and dark ground.
class Drawing {
 public:
  /// window: the part of the page that the picture shows, px.
  explicit Drawing(const Rect& window) : window_(window) {}

  Drawing& polygon(const std::vector<PagePoint>& corners, Ink ink);
  Drawing& square(const Rect& rect, Ink ink, bool dashed = false);
  Drawing& line(PagePoint from, PagePoint to, Ink ink);
  Drawing& arrows(const std::vector<std::pair<PagePoint, PagePoint>>& arrows, Ink ink);
  Drawing& dots(const std::vector<PagePoint>& places, Ink ink);
  Drawing& outlines(const std::vector<std::vector<Outline>>& objects, PagePoint origin, Ink ink);
  /// A short text, centred there.
  Drawing& text(PagePoint centre, const std::string& text, Ink ink);

  /// The <svg> to lay over the picture.
  std::string svg() const;

 private:
  Drawing& path(const std::string& commands, const std::string& kind, Ink ink);

  Rect window_;
  std::string elements_;
};

}  // namespace unet
