// Numbers, durations and sizes as people write and read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace unet {

/// Up to `digits` significant digits, for people: 0.8125, 1,234.5, 3.1e-05; "-" for NaN.
std::string number_text(double value, int digits = 4);

/// "1 h 02 min", "3 min 20 s", "4.2 s", "65 ms"; "-" where it is not finite.
std::string duration_text(double seconds);

/// "512 B", "1.5 MiB", "12 GiB".
std::string bytes_text(uint64_t bytes);

/// Seconds of "90", "90s", "30m", "1.5h" or "2d". Throws ConfigError.
double parse_duration(std::string_view text);

/// Bytes of "4GiB", "512 MiB", "1e9", "2.5GB"; prefixes k, M, G, T are powers of 1000, with i of 1024. Throws
/// ConfigError, also for 2^63 and more.
uint64_t parse_bytes(std::string_view text);

/// Insertions, deletions and substitutions of single characters that make one text of the other.
size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace unet
