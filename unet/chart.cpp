#include "unet/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "unet/html.h"
#include "unet/readable.h"

namespace unet {
namespace {

constexpr double kWidth = 1000, kHeight = 400;  // of the SVG's own coordinates; the page stretches them

/// Maps data to 0 .. 1 along one axis.
struct Axis {
  double low = 0, high = 1;
  bool log = false;

  double position(double value) const {
    if (log) return (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low));
    return (value - low) / (high - low);
  }
  /// Inside the chart, also what lies beyond the axis or has no logarithm.
  double clamped(double value) const {
    if (log && value <= low) return 0;
    return std::clamp(position(value), 0.0, 1.0);
  }
};

struct Extent {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void include(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

Axis x_axis(const Chart& chart) {
  Extent extent;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) extent.include(point.x);
  }
  if (extent.empty()) return {};
  if (extent.low == extent.high) return {extent.low - 0.5, extent.high + 0.5};
  const bool from_zero = extent.low >= 0 && extent.low < 0.3 * extent.high;
  return {from_zero ? 0 : extent.low, extent.high};
}

/// Follows the curves, not their bands: one outlier shall not flatten a chart.
Axis y_axis(const Chart& chart, bool log) {
  Extent extent;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      if (!log || point.y > 0) extent.include(point.y);
    }
  }
  if (extent.empty()) return {log ? 0.1 : 0.0, 1, log};
  if (log) {
    const double margin = std::max(std::pow(extent.high / extent.low, 0.06), 1.05);
    return {extent.low / margin, extent.high * margin, true};
  }
  const double margin = std::max((extent.high - extent.low) * 0.06, std::abs(extent.high) * 1e-3);
  const double room = margin > 0 ? margin : 1.0;
  const bool from_zero = extent.low >= 0 && extent.low < 0.3 * extent.high;
  return {from_zero ? 0 : extent.low - room, extent.high + room};
}

std::string at(double x, double y) {
  return concat(std::round(x * kWidth * 10) / 10, ',', std::round((1 - y) * kHeight * 10) / 10);
}

/// Runs of points without a gap: [begin, end).
template <class Draw>
void for_each_run(const std::vector<ChartPoint>& points, Draw&& draw) {
  for (size_t begin = 0; begin < points.size();) {
    size_t end = begin;
    while (end < points.size() && !std::isnan(points[end].y)) ++end;
    if (end > begin) draw(begin, end);
    begin = end + 1;
  }
}

std::string band_path(const ChartSeries& series, const Axis& x, const Axis& y) {
  std::string path;
  for_each_run(series.points, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      path += concat(i == begin ? 'M' : 'L', at(x.position(series.points[i].x), y.clamped(series.points[i].high)));
    }
    for (size_t i = end; i-- > begin;) {
      path += 'L' + at(x.position(series.points[i].x), y.clamped(series.points[i].low));
    }
    path += 'Z';
  });
  return path;
}

std::string line_path(const ChartSeries& series, const Axis& x, const Axis& y) {
  std::string path;
  for_each_run(series.points, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      path += concat(i == begin ? 'M' : 'L', at(x.position(series.points[i].x), y.clamped(series.points[i].y)));
    }
    if (end == begin + 1) path += "h0";  // a single point: its round cap shows
  });
  return path;
}

std::string dots_path(const ChartSeries& series, const Axis& x, const Axis& y, bool marked) {
  std::string path;
  for (const ChartPoint& point : series.points) {
    if (std::isnan(point.y) || (marked && !point.marked)) continue;
    path += concat('M', at(x.position(point.x), y.clamped(point.y)), "h0");
  }
  return path;
}

/// Named series have a colour each.
std::string colour_class(const Chart& chart, size_t series) {
  const auto end = chart.series.begin() + static_cast<ptrdiff_t>(series);
  return concat("series-",
                std::count_if(chart.series.begin(), end, [](const ChartSeries& each) { return !each.name.empty(); }));
}

std::string render_svg(const Chart& chart, const Axis& x, const Axis& y, const std::vector<double>& x_ticks,
                       const std::vector<double>& y_ticks) {
  std::string svg =
      concat("<svg viewBox=\"0 0 ", kWidth, ' ', kHeight, "\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"",
             escape_html(chart.title), "\">");
  std::string grid;
  for (const double tick : y_ticks) grid += concat('M', at(0, y.position(tick)), 'H', kWidth);
  for (const double tick : x_ticks) grid += concat('M', at(x.position(tick), 0), "V0");
  svg += concat("<path class=\"grid\" d=\"", grid, "\"/>");
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const ChartSeries& series = chart.series[i];
    const bool spread = std::any_of(series.points.begin(), series.points.end(),
                                    [](const ChartPoint& point) { return point.low < point.high; });
    svg += series.name.empty() ? "<g class=\"one-of-many\">" : concat("<g class=\"", colour_class(chart, i), "\">");
    if (spread) svg += concat("<path class=\"band\" d=\"", band_path(series, x, y), "\"/>");
    svg += concat("<path class=\"line\" d=\"", line_path(series, x, y), "\"/>");
    if (series.dots) svg += concat("<path class=\"dots\" d=\"", dots_path(series, x, y, false), "\"/>");
    const std::string rings = dots_path(series, x, y, true);
    if (!rings.empty()) {
      svg += concat("<path class=\"ring\" d=\"", rings, "\"/><path class=\"hole\" d=\"", rings, "\"/>");
    }
    svg += "</g>";
  }
  return svg + "</svg>";
}

std::string render_plot(const Chart& chart, bool log) {
  const Axis x = x_axis(chart);
  const Axis y = y_axis(chart, log);
  const std::vector<double> x_ticks = linear_ticks(x.low, x.high, 5);
  const std::vector<double> y_ticks = log ? log_ticks(y.low, y.high) : linear_ticks(y.low, y.high, 5);
  std::string html = concat("<div class=\"plot ", log ? "log" : "linear", "\" data-chart=\"", chart.id, "\" data-x=\"",
                            x.low, ' ', x.high, "\" data-y=\"", y.low, ' ', y.high, "\">");
  for (const double tick : y_ticks) {
    html +=
        concat("<span class=\"y\" style=\"bottom:", 100 * y.position(tick), "%\">", number_text(tick, 3), "</span>");
  }
  for (const double tick : x_ticks) {
    html += concat("<span class=\"x\" style=\"left:", 100 * x.position(tick), "%\">", number_text(tick, 12), "</span>");
  }
  html += render_svg(chart, x, y, x_ticks, y_ticks);
  return html + "</div>";
}

std::string legend(const Chart& chart) {
  std::string html = "<ul class=\"legend\">";
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const std::string& name = chart.series[i].name;
    if (!name.empty()) html += concat("<li class=\"", colour_class(chart, i), "\">", escape_html(name), "</li>");
  }
  return html + "</ul>";
}

/// Legend and switch of the scale, as far as there is a choice.
std::string bar(const Chart& chart) {
  std::string html = chart.series.size() > 1 ? legend(chart) : std::string();
  if (chart.scale == ChartScale::both) {
    const std::string input = concat("<label><input type=\"radio\" name=\"", chart.id, "-scale\" value=");
    html += concat("<fieldset class=\"scale\"><legend>scale</legend>", input, "\"log\" checked>log</label>", input,
                   "\"linear\">linear</label></fieldset>");
  }
  return html.empty() ? html : "<div class=\"bar\">" + html + "</div>";
}

std::string points_json(const Chart& chart) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const ChartSeries& series : chart.series) {
    if (series.name.empty()) continue;
    nlohmann::ordered_json xs = nlohmann::ordered_json::array(), ys = xs;
    for (const ChartPoint& point : series.points) {
      if (!std::isfinite(point.y)) continue;
      xs.push_back(point.x);
      ys.push_back(static_cast<float>(point.y));
    }
    all.push_back({{"name", series.name}, {"x", xs}, {"y", ys}});
  }
  return escape_script(all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

std::vector<ChartPoint> thin_out(const std::vector<ChartPoint>& points, size_t count) {
  const size_t bins = std::min(points.size(), std::max<size_t>(count, 1));
  std::vector<ChartPoint> thinned;
  for (size_t bin = 0; bin < bins; ++bin) {
    const size_t begin = points.size() * bin / bins, end = points.size() * (bin + 1) / bins;
    Extent spread;
    const double x = points[end - 1].x;
    double sum = 0;
    int used = 0;
    bool marked = false;
    for (size_t i = begin; i < end; ++i) {
      if (!std::isfinite(points[i].y)) continue;
      spread.include(points[i].low);
      spread.include(points[i].high);
      sum += points[i].y;
      marked = marked || points[i].marked;
      ++used;
    }
    if (used == 0) {
      thinned.push_back({.x = x, .y = std::numeric_limits<double>::quiet_NaN()});
    } else {
      thinned.push_back({.x = x, .y = sum / used, .low = spread.low, .high = spread.high, .marked = marked});
    }
  }
  return thinned;
}

std::vector<double> linear_ticks(double low, double high, int count) {
  const double raw = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double nice : {1.0, 2.0, 5.0}) {
    if (raw <= nice * power * (1 + 1e-9)) {
      step = nice * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double slack = step * 1e-9;
  for (double i = std::ceil((low - slack) / step); i * step <= high + slack; ++i)
    ticks.push_back(i == 0 ? 0 : i * step);
  return ticks;
}

std::vector<double> log_ticks(double low, double high) {
  const auto collect = [&](std::initializer_list<double> multiples) {
    std::vector<double> ticks;
    for (double power = std::floor(std::log10(low)); power <= std::log10(high); ++power) {
      for (const double multiple : multiples) {
        const double tick = multiple * std::pow(10, power);
        if (tick >= low && tick <= high) ticks.push_back(tick);
      }
    }
    return ticks;
  };
  std::vector<double> ticks = collect({1});
  for (size_t stride = 2; ticks.size() > 6; ++stride) {  // many decades: every second, third, ...
    const std::vector<double> all = collect({1});
    ticks.clear();
    for (size_t i = 0; i < all.size(); i += stride) ticks.push_back(all[i]);
  }
  if (ticks.size() < 3) ticks = collect({1, 2, 5});
  if (ticks.size() < 3) ticks = linear_ticks(low, high, 4);  // less than half a decade
  return ticks;
}

std::string render(const Chart& chart) {
  const bool has_points = std::any_of(chart.series.begin(), chart.series.end(), [](const ChartSeries& series) {
    return std::any_of(series.points.begin(), series.points.end(),
                       [](const ChartPoint& point) { return std::isfinite(point.y); });
  });
  std::string html = concat("<figure class=\"chart\" id=\"", chart.id, "\"><h3>", escape_html(chart.title), "</h3>");
  if (!chart.note.empty()) html += concat("<p class=\"note\">", escape_html(chart.note), "</p>");
  if (!has_points) return html + "<p class=\"empty\">No values yet.</p></figure>";
  html += bar(chart);
  if (chart.scale != ChartScale::linear) html += render_plot(chart, true);
  if (chart.scale != ChartScale::log) html += render_plot(chart, false);
  html += concat("<p class=\"axis\">", escape_html(chart.x_name), "</p><script type=\"application/json\">",
                 points_json(chart), "</script></figure>");
  return html;
}

}  // namespace unet
