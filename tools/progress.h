// How far a long run is, and how long it will still take: a live bar on a terminal, plain lines elsewhere.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace unet::tools {

/// "████████░░░░  62 %  TEXT  3 min 20 s left", cut to `columns`. A negative seconds_left is not shown. Bars are ASCII
/// unless `utf8`.
std::string render_bar(double fraction, double seconds_left, std::string_view text, int columns, bool utf8);

/// Seconds until fraction 1 at the average speed since the first update; negative where unknown.
class TimeLeft {
 public:
  double update(double now_s, double fraction);

 private:
  bool started_ = false;
  double start_s_ = 0, start_fraction_ = 0;
};

class Progress {
 public:
  struct Options {
    std::FILE* out = stderr;
    bool quiet = false;     // no progress at all
    bool terminal = false;  // redraw one line, else print a plain line now and then
    bool utf8 = false;
    double plain_interval_s = 15;
  };
  /// For standard error of this process.
  static Options standard_error(bool quiet);

  explicit Progress(const Options& options) : options_(options) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `text` says what is going on: "step 120 of 2,000, loss 0.231".
  void update(double fraction, std::string_view text);
  /// Removes the bar, so that something else can be printed; the next update draws it again.
  void clear();

 private:
  Options options_;
  TimeLeft time_left_;
  double drawn_s_ = -1;  // time of the last output
  bool visible_ = false;
};

}  // namespace unet::tools
