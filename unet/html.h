// Pieces of HTML.
#pragma once

#include <string>
#include <string_view>

namespace unet {

/// Text for element content and quoted attributes: & < > " ' are written as references.
std::string escape_html(std::string_view text);

/// A JSON text that may stand inside <script>: '<' is written as \u003c.
std::string escape_script(std::string_view json);

/// RFC 4648, section 4, with padding.
std::string base64(std::string_view bytes);

/// Up to `digits` significant digits, for people: 0.8125, 1,234.5, 3.1e-05; "-" for NaN.
std::string number_text(double value, int digits = 4);

/// "1 h 02 min", "3 min 20 s", "4.2 s", "65 ms"; "-" where it is not finite.
std::string duration_text(double seconds);

}  // namespace unet
