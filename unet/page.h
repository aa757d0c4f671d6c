// What the project's HTML pages have in common: their frame, tables of facts, and pictures with captions.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace unet {

/// What the colours of heat_picture() mean.
struct ColourBar {
  double top = 1;    // value of the brightest colour; the darkest is 0
  std::string unit;  // such as "px"; may be empty
};

struct PagePicture {
  std::string caption;
  std::string png;                 // the file's bytes
  std::string alternative{};       // what one sees, for those who cannot; empty: the caption
  std::string overlay{};           // a PNG with transparency, laid over it; may be empty
  std::string drawing{};           // an <svg> over the picture, see Drawing; may be empty
  std::optional<ColourBar> bar{};  // below the picture
  bool magnified = false;          // its pixels stay sharp squares
};

/// Pictures side by side with a heading.
struct Gallery {
  std::string title;
  std::string explanation;  // what one sees and what the colours mean
  std::vector<PagePicture> pictures;
  int columns = 0;  // 0: as many as fit
};

/// A <section>; without a title it goes on with the one before.
std::string render(const Gallery& gallery);

/// One line of the table of facts: "training images", "20 of 512 x 512".
using Fact = std::pair<std::string, std::string>;
std::string render_facts(const std::vector<Fact>& facts);

struct HtmlPage {
  std::string title;
  std::string header, main;  // HTML
  bool reloads = false;      // once a minute
};

/// A file that opens anywhere without a network. Charts and pictures work without script; with it charts show the
/// values under the pointer and pictures enlarge.
std::string render(const HtmlPage& page);

}  // namespace unet
