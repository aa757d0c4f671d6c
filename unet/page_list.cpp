#include "unet/page_list.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "kernels/error.h"

namespace unet {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(' ');
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

/// A number from 0; nothing for other text and for numbers beyond 64 bits.
std::optional<int64_t> number(std::string_view text) {
  text = trimmed(text);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return {};
  return value;
}

}  // namespace

std::vector<int64_t> parse_page_list(std::string_view what, std::string_view list, int64_t pages) {
  std::set<int64_t> chosen;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string_view item = list.substr(begin, end - begin);
    begin = end + 1;

    const size_t dash = item.find('-');
    const auto first = number(item.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : number(item.substr(dash + 1));
    if (!first || !last) {
      throw ConfigError(concat(what, ": expected page numbers from 0 and ranges such as 0-4,10, got \"", list, "\""));
    }
    if (*last < *first) {
      throw ConfigError(concat(what, ": expected ranges from the lower to the higher page, got ", trimmed(item)));
    }
    if (*last >= pages) {
      throw ConfigError(concat(what, ": expected pages 0 to ", pages - 1, ", got ", trimmed(item)));
    }
    for (int64_t page = *first; page <= *last; ++page) chosen.insert(page);
  }
  return {chosen.begin(), chosen.end()};
}

}  // namespace unet
