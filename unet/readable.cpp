#include "unet/readable.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <span>
#include <utility>
#include <vector>

#include "kernels/error.h"

namespace unet {
namespace {

std::string printed(const char* format, auto... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

/// "1234567.5" -> "1,234,567.5"
std::string grouped(std::string digits) {
  const size_t point = std::min(digits.find('.'), digits.size());
  const size_t first = digits[0] == '-' ? 1 : 0;
  for (size_t at = point; at > first + 3;) digits.insert(at -= 3, ",");
  return digits;
}

using Unit = std::pair<std::string_view, double>;

/// A number and one of the units behind it; `expected` says what in the ConfigError otherwise.
double parse_quantity(std::string_view text, std::span<const Unit> units, const char* expected) {
  double number = 0;
  const char* const stop = text.data() + text.size();
  const auto [end, status] = std::from_chars(text.data(), stop, number);
  std::string_view name(end, static_cast<size_t>(stop - end));
  if (name.starts_with(' ')) name.remove_prefix(1);
  const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& each) { return each.first == name; });
  if (status != std::errc() || unit == units.end() || !(number >= 0) || !std::isfinite(number)) {
    throw ConfigError(concat("expected ", expected, ", got ", text));
  }
  return number * unit->second;
}

}  // namespace

std::string number_text(double value, int digits) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return value < 0 ? "-infinity" : "infinity";
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e15)) return printed("%.*g", digits, value);
  const int before = size == 0 ? 1 : static_cast<int>(std::floor(std::log10(size))) + 1;
  std::string text = printed("%.*f", std::max(0, digits - before), value);
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return grouped(text);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) return "-";
  if (seconds > 0 && seconds < 1) return printed("%.0f ms", 1000 * seconds);
  if (seconds < 60) return printed(seconds < 10 ? "%.1f s" : "%.0f s", seconds);
  const auto total = static_cast<int64_t>(std::llround(seconds));
  if (total < 3600) return printed("%d min %02d s", static_cast<int>(total / 60), static_cast<int>(total % 60));
  return printed("%d h %02d min", static_cast<int>(total / 3600), static_cast<int>(total / 60 % 60));
}

std::string bytes_text(uint64_t bytes) {
  constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024; value /= 1024) ++unit;
  return concat(number_text(value, value >= 100 ? 3 : 2), ' ', kUnits[unit]);
}

double parse_duration(std::string_view text) {
  constexpr std::array<Unit, 5> kUnits{{{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}};
  return parse_quantity(text, kUnits, "a duration with s, m, h or d, such as 30m");
}

uint64_t parse_bytes(std::string_view text) {
  constexpr std::array<Unit, 10> kUnits{{{"", 1},
                                         {"B", 1},
                                         {"kB", 1e3},
                                         {"MB", 1e6},
                                         {"GB", 1e9},
                                         {"TB", 1e12},
                                         {"KiB", 0x1p10},
                                         {"MiB", 0x1p20},
                                         {"GiB", 0x1p30},
                                         {"TiB", 0x1p40}}};
  const double bytes = parse_quantity(text, kUnits, "a size such as 4GiB or 500MB");
  if (bytes >= 0x1p63) throw ConfigError(concat("expected a size below 8 EiB, got ", text));
  return static_cast<uint64_t>(bytes);
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace unet
