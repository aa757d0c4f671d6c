#include "unet/drawing.h"

#include <cmath>

#include "unet/html.h"

namespace unet {
namespace {

std::string name_of(Ink ink) {
  constexpr std::string_view kNames[] = {"yellow", "blue", "orange", "green", "white", "black"};
  return std::string(kNames[static_cast<size_t>(ink)]);
}

double tenth(double v) { return std::round(v * 10) / 10; }

std::string at(PagePoint p) { return concat(tenth(p.x), ' ', tenth(p.y)); }

std::string closed(const std::vector<PagePoint>& corners) {
  std::string commands;
  for (const PagePoint& corner : corners) commands += (commands.empty() ? 'M' : 'L') + at(corner);
  return commands + 'Z';
}

}  // namespace

Drawing& Drawing::path(const std::string& commands, const std::string& kind, Ink ink) {
  if (commands.empty()) return *this;
  if (ink != Ink::black) elements_ += concat("<path class=\"edge ", kind, "\" d=\"", commands, "\"/>");
  elements_ += concat("<path class=\"ink ", kind, ' ', name_of(ink), "\" d=\"", commands, "\"/>");
  return *this;
}

Drawing& Drawing::polygon(const std::vector<PagePoint>& corners, Ink ink) {
  return path(closed(corners), "solid", ink);
}

Drawing& Drawing::square(const Rect& rect, Ink ink, bool dashed) {
  return path(concat('M', rect.x, ' ', rect.y, 'h', rect.width, 'v', rect.height, 'h', -rect.width, 'Z'),
              dashed ? "dashed" : "solid", ink);
}

Drawing& Drawing::line(PagePoint from, PagePoint to, Ink ink) {
  return path('M' + at(from) + 'L' + at(to), "solid", ink);
}

Drawing& Drawing::arrows(const std::vector<std::pair<PagePoint, PagePoint>>& arrows, Ink ink) {
  constexpr double kHead = 0.3;  // of the arrow's length
  std::string commands;
  for (const auto& [from, to] : arrows) {
    const double dy = kHead * (to.y - from.y), dx = kHead * (to.x - from.x);
    const PagePoint left{to.y - dy - dx / 2, to.x - dx + dy / 2}, right{to.y - dy + dx / 2, to.x - dx - dy / 2};
    commands += 'M' + at(from) + 'L' + at(to) + 'M' + at(left) + 'L' + at(to) + 'L' + at(right);
  }
  return path(commands, "thin", ink);
}

Drawing& Drawing::dots(const std::vector<PagePoint>& places, Ink ink) {
  std::string commands;
  for (const PagePoint& place : places) commands += 'M' + at(place) + "h0";
  return path(commands, "dot", ink);
}

Drawing& Drawing::outlines(const std::vector<std::vector<Outline>>& objects, PagePoint origin, Ink ink) {
  std::string commands;
  for (const std::vector<Outline>& object : objects) {
    for (const Outline& outline : object) {
      std::vector<PagePoint> corners;
      for (const Corner& corner : outline) {
        corners.push_back({origin.y + static_cast<double>(corner.y), origin.x + static_cast<double>(corner.x)});
      }
      commands += closed(corners);
    }
  }
  return path(commands, "thin", ink);
}

Drawing& Drawing::text(PagePoint centre, const std::string& text, Ink ink) {
  const double size = static_cast<double>(std::max(window_.height, window_.width)) / 18;
  elements_ += concat("<text class=\"", name_of(ink), "\" x=\"", tenth(centre.x), "\" y=\"", tenth(centre.y),
                      "\" dy=\"0.35em\" font-size=\"", tenth(size), "\">", escape_html(text), "</text>");
  return *this;
}

std::string Drawing::svg() const {
  return concat("<svg aria-hidden=\"true\" viewBox=\"", window_.x, ' ', window_.y, ' ', window_.width, ' ',
                window_.height, "\">", elements_, "</svg>");
}

}  // namespace unet
