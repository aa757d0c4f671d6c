#include "unet/report.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/error.h"
#include "unet/chart.h"
#include "unet/html.h"
#include "unet/output_file.h"
#include "unet/readable.h"

namespace unet {
namespace {

constexpr size_t kCurvePoints = 240;  // of a curve: what a screen can tell apart

ChartPoint point(int64_t step, double value, bool marked = false) {
  return {.x = static_cast<double>(step), .y = value, .low = value, .high = value, .marked = marked};
}

std::vector<ChartPoint> step_curve(const TrainingHistory& history, double StepRecord::*value) {
  std::vector<ChartPoint> points;
  for (const StepRecord& record : history.steps) points.push_back(point(record.step + 1, record.*value));
  return thin_out(points, kCurvePoints);
}

/// The last record that wrote the model; null without one.
const ValidationRecord* best_of(const TrainingHistory& history) {
  const auto found = std::find_if(history.validations.rbegin(), history.validations.rend(),
                                  [](const ValidationRecord& record) { return record.best; });
  return found == history.validations.rend() ? nullptr : &*found;
}

Chart loss_chart(const TrainingHistory& history) {
  Chart chart{
      .id = "loss",
      .title = "Loss",
      .note = "Cross-entropy: with pixel weights in training, without in validation. The band spans single steps.",
      .series = {{.name = "training", .points = step_curve(history, &StepRecord::loss)}},
      .scale = ChartScale::both};
  if (!history.validations.empty()) {
    const ValidationRecord* best = best_of(history);
    ChartSeries series{.name = "validation", .points = {}, .dots = history.validations.size() <= 60};
    for (const ValidationRecord& record : history.validations) {
      series.points.push_back(point(record.step, record.loss, &record == best));
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

/// "pixel_error" as people write it.
std::string spoken(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

/// Errors, which are best at 0, stay out of this chart: on its scale they would lie on the floor.
Chart metric_chart(const TrainingHistory& history) {
  Chart chart{.id = "metrics",
              .title = "Validation metrics",
              .note = "Higher is better. The ring marks the saved model; errors are in the table below.",
              .series = {}};
  const ValidationRecord* best = best_of(history);
  for (const ValidationRecord& record : history.validations) {
    for (const auto& [metric, value] : record.metrics) {
      if (metric.ends_with("error")) continue;
      const std::string name = spoken(metric);
      auto series = std::find_if(chart.series.begin(), chart.series.end(),
                                 [&](const ChartSeries& each) { return each.name == name; });
      if (series == chart.series.end()) {
        chart.series.push_back({.name = name, .points = {}, .dots = history.validations.size() <= 60});
        series = chart.series.end() - 1;
      }
      series->points.push_back(point(record.step, value, &record == best));
    }
  }
  return chart;
}

struct Summary {
  int64_t steps_done = 0;
  int64_t skipped = 0;
  double seconds = 0;       // in steps
  double wait_seconds = 0;  // of these, for samples
  double step_seconds = 0;  // median of the last 100
  double seconds_left = 0;
};

Summary summarise(const Report& report) {
  Summary summary;
  std::vector<double> recent;
  for (const StepRecord& record : report.history.steps) {
    summary.skipped += record.skipped ? 1 : 0;
    if (!std::isfinite(record.seconds)) continue;
    summary.seconds += record.seconds;
    summary.wait_seconds += record.wait_seconds;
  }
  const auto& steps = report.history.steps;
  for (size_t i = steps.size() - std::min<size_t>(steps.size(), 100); i < steps.size(); ++i) {
    if (std::isfinite(steps[i].seconds)) recent.push_back(steps[i].seconds);
  }
  if (!recent.empty()) {
    const auto middle = recent.begin() + static_cast<std::ptrdiff_t>(recent.size() / 2);
    std::nth_element(recent.begin(), middle, recent.end());
    summary.step_seconds = *middle;
  }
  summary.steps_done = steps.empty() ? 0 : steps.back().step + 1;
  summary.seconds_left =
      static_cast<double>(std::max<int64_t>(0, report.steps - summary.steps_done)) * summary.step_seconds;
  return summary;
}

std::string whole(int64_t value) { return number_text(static_cast<double>(value), 15); }

std::string state_badge(const Report& report) {
  const auto& end = report.history.end;
  if (!end) return "<span class=\"badge running\">training</span>";
  const char* kind = end->exit_code == 0 ? "done" : end->exit_code == 75 ? "stopped" : "failed";
  return concat("<span class=\"badge ", kind, "\">", kind, "</span><span class=\"reason\">", escape_html(end->reason),
                "</span>");
}

std::string tile(const std::string& label, const std::string& value, const std::string& detail) {
  return concat("<div class=\"tile\"><dt>", escape_html(label), "</dt><dd>", escape_html(value), "<small>",
                escape_html(detail), "</small></dd></div>");
}

std::string tiles(const Report& report, const Summary& summary) {
  const TrainingHistory& history = report.history;
  std::string html = "<dl class=\"tiles\">";
  html += tile("steps", whole(summary.steps_done), "of " + whole(report.steps));
  if (const ValidationRecord* best = best_of(history)) {
    const std::string when = "best, at step " + whole(best->step);
    if (best->metrics.empty()) {
      html += tile("validation loss", number_text(best->loss), when);
    } else {
      html += tile("validation " + spoken(best->metrics[0].first), number_text(best->metrics[0].second), when);
    }
  } else if (!history.steps.empty()) {
    html += tile("training loss", number_text(history.steps.back().loss), "last step");
  }
  const double waited_percent = summary.seconds > 0 ? 100 * summary.wait_seconds / summary.seconds : 0;
  html += tile("time", duration_text(summary.seconds),
               concat("in training steps, ", number_text(waited_percent, 2), " % of it waiting for samples"));
  html += tile("a step", duration_text(summary.step_seconds), "median of the last 100");
  if (!history.end) html += tile("left", duration_text(summary.seconds_left), "at this speed");
  if (summary.skipped > 0) html += tile("skipped steps", whole(summary.skipped), "loss or gradient was not finite");
  return html + "</dl>";
}

std::string row(const std::string& name, const std::string& first, const std::string& second) {
  return concat("<tr><th scope=\"row\">", escape_html(name), "</th><td>", first, "</td><td>", second, "</td></tr>");
}

/// Loss and metrics of the saved model beside those of the last validation.
std::string validation_table(const TrainingHistory& history) {
  if (history.validations.empty()) return {};
  const ValidationRecord& last = history.validations.back();
  const ValidationRecord* best = best_of(history);
  const auto value_in = [](const ValidationRecord* record, const std::string& name) {
    if (record != nullptr) {
      for (const auto& [metric, value] : record->metrics) {
        if (metric == name) return number_text(value);
      }
    }
    return std::string("-");
  };
  std::string html =
      concat("<section><h2>Validation</h2><table class=\"numbers\"><thead><tr><td></td><th scope=\"col\">saved model",
             best != nullptr ? concat("<small>step ", whole(best->step), "</small>") : "",
             "</th><th scope=\"col\">last<small>step ", whole(last.step), "</small></th></tr></thead><tbody>");
  html += row("loss", best != nullptr ? number_text(best->loss) : "-", number_text(last.loss));
  for (const auto& [name, value] : last.metrics) html += row(spoken(name), value_in(best, name), number_text(value));
  return html + "</tbody></table></section>";
}

std::string facts(const Report& report) {
  auto rows = report.facts;
  if (!report.history.sessions.empty()) {
    const SessionRecord& session = report.history.sessions.back();
    rows.emplace_back("software", "unet " + session.version);
    rows.emplace_back("device",
                      concat(session.device, ", ", session.threads, session.threads == 1 ? " thread" : " threads"));
    rows.emplace_back("seed", concat(session.seed));
    rows.emplace_back("started", report.history.sessions.front().started);
    if (report.history.sessions.size() > 1) {
      rows.emplace_back("resumed", concat(report.history.sessions.size() - 1, " times, last ", session.started));
    }
  }
  if (rows.empty()) return {};
  return "<section><h2>Data and program</h2>" + render_facts(rows) + "</section>";
}

std::string configuration(const TrainingHistory& history) {
  if (history.sessions.empty()) return {};
  return concat("<section><details><summary>Configuration</summary><pre>",
                escape_html(history.sessions.back().configuration), "</pre></details></section>");
}

}  // namespace

std::string render_report(const Report& report) {
  const TrainingHistory& history = report.history;
  const Summary summary = summarise(report);
  const bool complete = history.end && history.end->exit_code == 0;
  const double done = complete           ? 1
                      : report.steps > 0 ? static_cast<double>(summary.steps_done) / static_cast<double>(report.steps)
                                         : 0;
  std::string header =
      concat("<h1>", escape_html(report.name), "</h1>", state_badge(report),
             "<div class=\"progress\"><i style=\"width:", 100 * std::clamp(done, 0.0, 1.0), "%\"></i></div>");
  std::string main = tiles(report, summary) + "<section class=\"charts\">";
  main += render(loss_chart(history)) + render(metric_chart(history));
  main +=
      render(Chart{.id = "learning-rate",
                   .title = "Learning rate",
                   .note = "",
                   .series = {{.name = "learning rate", .points = step_curve(history, &StepRecord::learning_rate)}}});
  main += render(Chart{.id = "gradient-norm",
                       .title = "Gradient norm",
                       .note = "Over all parameters, before the update.",
                       .series = {{.name = "gradient norm", .points = step_curve(history, &StepRecord::gradient_norm)}},
                       .scale = ChartScale::log});
  main += "</section><div class=\"columns\">" + validation_table(history) + facts(report) + "</div>";
  for (const Gallery& gallery : report.galleries) main += render(gallery);
  main += configuration(history);
  return render(HtmlPage{.title = report.name + " - training",
                         .header = std::move(header),
                         .main = std::move(main),
                         .reloads = !history.end});
}

void write_report(const std::filesystem::path& path, const Report& report) { write_file(path, render_report(report)); }

}  // namespace unet
