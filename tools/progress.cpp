#include "tools/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "kernels/error.h"
#include "unet/readable.h"

namespace unet::tools {
namespace {

constexpr int kBarColumns = 24;
constexpr double kRedrawInterval_s = 0.1;

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

int terminal_columns(std::FILE* out) {
  winsize size{};
  return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view text(value);
    return text.find("UTF-8") != std::string_view::npos || text.find("utf8") != std::string_view::npos;
  }
  return false;
}

/// The first `columns` characters of UTF-8 text.
std::string cut(const std::string& text, int columns) {
  int used = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool starts_character = (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (starts_character && used++ == columns) return text.substr(0, i);
  }
  return text;
}

std::string description(double fraction, double seconds_left, std::string_view text) {
  const auto percent = static_cast<int>(std::floor(100 * fraction));
  return concat(percent < 10    ? "  "
                : percent < 100 ? " "
                                : "",
                percent, " %  ", text,
                seconds_left < 0 ? "" : "  " + duration_text(std::round(seconds_left)) + " left");
}

}  // namespace

std::string render_bar(double fraction, double seconds_left, std::string_view text, int columns, bool utf8) {
  fraction = std::clamp(fraction, 0.0, 1.0);
  const int filled = static_cast<int>(std::lround(fraction * kBarColumns));
  std::string bar;
  for (int i = 0; i < kBarColumns; ++i) bar += i < filled ? (utf8 ? "\u2588" : "#") : (utf8 ? "\u2591" : ".");
  return cut(bar + ' ' + description(fraction, seconds_left, text), columns);
}

double TimeLeft::update(double now_s, double fraction) {
  if (!started_) {
    started_ = true;
    start_s_ = now_s;
    start_fraction_ = fraction;
  }
  const double done = fraction - start_fraction_;
  return done > 0 ? (now_s - start_s_) * (1 - fraction) / done : -1;
}

Progress::Options Progress::standard_error(bool quiet) {
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  return {.out = stderr, .quiet = quiet, .terminal = isatty(STDERR_FILENO) == 1 && !dumb, .utf8 = locale_is_utf8()};
}

void Progress::update(double fraction, std::string_view text) {
  if (options_.quiet) return;
  const double now = now_s();
  const double seconds_left = time_left_.update(now, fraction);
  const double interval_s = options_.terminal ? kRedrawInterval_s : options_.plain_interval_s;
  if (drawn_s_ >= 0 && now - drawn_s_ < interval_s && fraction < 1) return;
  drawn_s_ = now;
  if (options_.terminal) {
    // Return to the line's start, draw, and erase what an earlier, longer line left behind.
    std::fprintf(options_.out, "\r%s\x1b[K",
                 render_bar(fraction, seconds_left, text, terminal_columns(options_.out) - 1, options_.utf8).c_str());
    visible_ = true;
  } else {
    std::fprintf(options_.out, "%s\n", description(fraction, seconds_left, text).c_str());
  }
  std::fflush(options_.out);
}

void Progress::clear() {
  if (!visible_) return;
  std::fputs("\r\x1b[K", options_.out);
  std::fflush(options_.out);
  visible_ = false;
  drawn_s_ = -1;
}

}  // namespace unet::tools
