// Pages chosen on a command line: "0-4,10".
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace unet {

/// The page numbers of a list such as "0-4,10": numbers from 0 and ranges with both ends, separated by commas, in any
/// order. Ascending, each once. `pages` is how many there are; `what` names the setting in errors. Throws ConfigError
/// for text that is no such list, for a range whose end comes before its begin and for a page that does not exist.
std::vector<int64_t> parse_page_list(std::string_view what, std::string_view list, int64_t pages);

}  // namespace unet
