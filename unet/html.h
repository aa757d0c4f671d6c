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

}  // namespace unet
