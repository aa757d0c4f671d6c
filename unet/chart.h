// Line charts as HTML with inline SVG.
#pragma once

#include <string>
#include <vector>

namespace unet {

struct ChartPoint {
  double x = 0, y = 0;       // y NaN: a gap
  double low = 0, high = 0;  // spread around y, drawn as a band; equal to y where there is none
  bool marked = false;       // drawn with a ring
};

struct ChartSeries {
  std::string name;                // empty: a thin line, one of many, that no legend and no pointer names
  std::vector<ChartPoint> points;  // x ascending
  bool dots = false;               // a dot at each point
};

enum class ChartScale { linear, log, both };  // both: log first, linear at a click

struct Chart {
  std::string id;  // unique in the page; letters and dashes
  std::string title;
  std::string note;  // one sentence below the title; may be empty
  std::string x_name = "step";
  std::vector<ChartSeries> series;  // up to 6 with a name
  ChartScale scale = ChartScale::linear;
};

/// At most `count` points: neighbours are joined to their mean, and low and high become the extremes of what was
/// joined. NaN values are left out; an interval with no other becomes a gap.
std::vector<ChartPoint> thin_out(const std::vector<ChartPoint>& points, size_t count);

/// Round values inside [low, high], about `count`, ascending: multiples of 1, 2 or 5 times a power of ten.
std::vector<double> linear_ticks(double low, double high, int count);
/// Powers of ten inside [low, high]: at most six, and where they are fewer than three also their multiples by 2 and 5.
/// low > 0.
std::vector<double> log_ticks(double low, double high);

/// A <figure>. The curves stretch with the page while text keeps its size. The points also come as JSON for page.js,
/// which shows the values under the pointer; without script the chart is complete.
std::string render(const Chart& chart);

}  // namespace unet
