#include "unet/chart.h"

#include <cmath>
#include <limits>
#include <regex>

#include "tests/catch.h"
#include "unet/html.h"

namespace unet {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<ChartPoint> points_of(const std::vector<double>& values) {
  std::vector<ChartPoint> points;
  for (size_t i = 0; i < values.size(); ++i) {
    points.push_back({.x = static_cast<double>(i), .y = values[i], .low = values[i], .high = values[i]});
  }
  return points;
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// The d attribute of the first path of this class.
std::string path_of(const std::string& html, const std::string& name) {
  const std::regex pattern("<path class=\"" + name + "\" d=\"([^\"]*)\"");
  std::smatch match;
  REQUIRE(std::regex_search(html, match, pattern));
  return match[1];
}

}  // namespace

TEST_CASE("html: escaping") {
  CHECK(escape_html("<a href=\"x\">Tom & 'Jerry'</a>") ==
        "&lt;a href=&quot;x&quot;&gt;Tom &amp; &#39;Jerry&#39;&lt;/a&gt;");
  CHECK(escape_script("\"</script>\"") == "\"\\u003c/script>\"");
}

// RFC 4648, section 10.
TEST_CASE("html: base64 test vectors") {
  CHECK(base64("").empty());
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("fooba") == "Zm9vYmE=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64("\xff\xfe\xfd") == "//79");
}

TEST_CASE("chart: series without a name are drawn, but take no colour, legend or values") {
  const std::string html = render({.id = "curves",
                                   .title = "Curves",
                                   .note = "",
                                   .series = {{.name = "", .points = points_of({1, 2})},
                                              {.name = "", .points = points_of({2, 1})},
                                              {.name = "first", .points = points_of({0, 3})},
                                              {.name = "second", .points = points_of({3, 0})}}});
  CHECK(count_of(html, "class=\"one-of-many\"") == 2);
  CHECK(count_of(html, "<li class=\"series-0\">first</li><li class=\"series-1\">second</li></ul>") == 1);
  CHECK(count_of(html, "<g class=\"series-") == 2);
  CHECK(count_of(html, "\"name\":") == 2);
}

TEST_CASE("chart: thinning keeps means and extremes, and leaves NaN out") {
  const auto thinned = thin_out(points_of({1, 3, kNan, 5, kNan, kNan}), 3);
  REQUIRE(thinned.size() == 3);
  CHECK(thinned[0].x == 1);
  CHECK(thinned[0].y == 2);
  CHECK(thinned[0].low == 1);
  CHECK(thinned[0].high == 3);
  CHECK(thinned[1].y == 5);
  CHECK(std::isnan(thinned[2].y));
  CHECK(thin_out(points_of({1, 2}), 10).size() == 2);
  CHECK(thin_out({}, 10).empty());
}

TEST_CASE("chart: ticks are round and inside") {
  CHECK(linear_ticks(0, 2000, 5) == std::vector<double>{0, 500, 1000, 1500, 2000});
  CHECK(linear_ticks(-1, 1, 4) == std::vector<double>{-1, -0.5, 0, 0.5, 1});
  CHECK(log_ticks(0.5, 2000) == std::vector<double>{1, 10, 100, 1000});
  CHECK(log_ticks(0.4, 3) == std::vector<double>{0.5, 1, 2});
  CHECK(log_ticks(1e-8, 1e8).size() <= 6);
  for (const double low : {-3.7, 0.0, 0.013, 999.0}) {
    for (const double extent : {1e-6, 0.37, 1.0, 12345.0}) {
      const auto ticks = linear_ticks(low, low + extent, 5);
      INFO(low << " " << extent);
      CHECK(ticks.size() >= 2);
      CHECK(ticks.size() <= 7);
      CHECK(ticks.front() >= low - 1e-9 * extent);
      CHECK(ticks.back() <= low + extent * (1 + 1e-9));
      if (low > 0) CHECK(log_ticks(low, low + extent).size() >= 2);
    }
  }
}

TEST_CASE("chart: lines run where the values are") {
  const std::string html = render({.id = "c", .title = "t", .note = "", .series = {{"s", points_of({0, 1, 0.5})}}});
  // The axis leaves 6 % above the largest value: y = 400 (1 - value / 1.06).
  CHECK(path_of(html, "line") == "M0,400L500,22.6L1000,211.3");
  CHECK(html.find("class=\"band\"") == std::string::npos);
  CHECK(html.find("class=\"legend\"") == std::string::npos);
  CHECK(html.find("type=\"radio\"") == std::string::npos);
}

TEST_CASE("chart: a gap interrupts the line, a lone value shows as a dot") {
  const std::string html = render({.id = "c", .title = "t", .note = "", .series = {{"s", points_of({1, kNan, 2, 3})}}});
  const std::string line = path_of(html, "line");
  CHECK(count_of(line, "M") == 2);
  CHECK(count_of(line, "h0") == 1);
  CHECK(line.find("nan") == std::string::npos);
}

TEST_CASE("chart: both scales are drawn, logarithm of 0 lies on the floor") {
  const std::string html = render(
      {.id = "c", .title = "t", .note = "", .series = {{"s", points_of({0, 1, 10})}}, .scale = ChartScale::both});
  CHECK(count_of(html, "<svg") == 2);
  CHECK(count_of(html, "type=\"radio\"") == 2);
  CHECK(path_of(html, "line").substr(0, 6) == "M0,400");
  CHECK(html.find("inf") == std::string::npos);
}

TEST_CASE("chart: bands, dots, rings and legend appear where asked for") {
  auto points = points_of({1, 2});
  points[0].high = 3;
  points[1].marked = true;
  const std::string html =
      render({.id = "c", .title = "t", .note = "", .series = {{"a & b", points, true}, {"second", points_of({1, 1})}}});
  CHECK(count_of(html, "class=\"band\"") == 1);
  CHECK(count_of(html, "class=\"dots\"") == 1);
  CHECK(count_of(html, "class=\"ring\"") == 1);
  CHECK(html.find("<li class=\"series-0\">a &amp; b</li>") != std::string::npos);
}

TEST_CASE("chart: without values it says so") {
  for (const auto& values : {std::vector<double>{}, std::vector<double>{kNan}}) {
    const std::string html = render({.id = "c", .title = "t", .note = "", .series = {{"s", points_of(values)}}});
    CHECK(html.find("No values yet") != std::string::npos);
    CHECK(html.find("<svg") == std::string::npos);
  }
}

TEST_CASE("chart: constant and single values have an axis") {
  for (const auto& values : {std::vector<double>{0, 0}, std::vector<double>{-5, -5}, std::vector<double>{7}}) {
    for (const ChartScale scale : {ChartScale::linear, ChartScale::both}) {
      const std::string html =
          render({.id = "c", .title = "t", .note = "", .series = {{"s", points_of(values)}}, .scale = scale});
      CHECK(html.find("nan") == std::string::npos);
      CHECK(html.find("inf") == std::string::npos);
      CHECK(count_of(html, "<span class=\"y\"") >= 2);
    }
  }
}

}  // namespace unet
