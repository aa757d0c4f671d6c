#include "unet/page.h"

#include "kernels/error.h"
#include "unet/embedded_text.h"
#include "unet/html.h"
#include "unet/picture.h"
#include "unet/readable.h"
#include "unet/training_log.h"

namespace unet {
namespace {

std::string_view asset(std::string_view name) {
  for (const auto& [file, text] : kPageAssets) {
    if (file == name) return text;
  }
  throw Error(concat("page: ", name, " is not compiled in"));
}

std::string render(const ColourBar& bar) {
  const std::string unit = bar.unit.empty() ? std::string() : " " + escape_html(bar.unit);
  return concat("<div class=\"heat\"><i style=\"background:", heat_gradient(), "\"></i><span>0</span><span>",
                number_text(bar.top / 2, 3), "</span><span>", number_text(bar.top, 3), unit, "</span></div>");
}

std::string png_url(const std::string& png) { return "data:image/png;base64," + base64(png); }

std::string render(const PagePicture& picture) {
  const std::string& alternative = picture.alternative.empty() ? picture.caption : picture.alternative;
  return concat(
      "<figure><div class=\"picture", picture.magnified ? " magnified" : "", "\"><img alt=\"", escape_html(alternative),
      "\" src=\"", png_url(picture.png), "\">",
      picture.overlay.empty() ? "" : concat("<img class=\"over\" alt=\"\" src=\"", png_url(picture.overlay), "\">"),
      picture.drawing, "</div>", picture.bar ? render(*picture.bar) : "", "<figcaption>", escape_html(picture.caption),
      "</figcaption></figure>");
}

}  // namespace

std::string render(const Gallery& gallery) {
  std::string html =
      gallery.title.empty() ? "<section class=\"more\">" : concat("<section><h2>", escape_html(gallery.title), "</h2>");
  if (!gallery.explanation.empty()) html += concat("<p class=\"note\">", escape_html(gallery.explanation), "</p>");
  html +=
      gallery.columns > 0 ? concat("<div class=\"gallery columns-", gallery.columns, "\">") : "<div class=\"gallery\">";
  for (const PagePicture& picture : gallery.pictures) html += render(picture);
  return html + "</div></section>";
}

std::string render_facts(const std::vector<Fact>& facts) {
  std::string html = "<table class=\"facts\"><tbody>";
  for (const auto& [name, value] : facts) {
    html += concat("<tr><th scope=\"row\">", escape_html(name), "</th><td>", escape_html(value), "</td></tr>");
  }
  return html + "</tbody></table>";
}

std::string render(const HtmlPage& page) {
  std::string html = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">";
  html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">";
  html += "<meta name=\"color-scheme\" content=\"light dark\">";
  if (page.reloads) html += "<meta http-equiv=\"refresh\" content=\"60\">";
  html += concat("<title>", escape_html(page.title), "</title><style>", asset("page.css"), "</style></head>");
  html +=
      concat("<body><header>", page.header, "</header><main>", page.main, "</main><footer>Written ", utc_time_text(),
             "</footer><dialog id=\"zoom\"></dialog><script>", asset("page.js"), "</script></body></html>\n");
  return html;
}

}  // namespace unet
