#include "unet/html.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>

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

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string escape_script(std::string_view json) {
  std::string out;
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (size_t k = 0; k < 4; ++k) out += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

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

}  // namespace unet
