// Text files that are compiled in, so that programs need none beside them. cmake/embed_texts.cmake makes the tables.
#pragma once

#include <span>
#include <string_view>

namespace unet {

struct EmbeddedText {
  std::string_view name;  // of the file, without its folder
  std::string_view text;
};

extern const std::span<const EmbeddedText> kPresets;     // unet/presets/*.toml: paper first, then by name
extern const std::span<const EmbeddedText> kPageAssets;  // unet/page.css, unet/page.js

}  // namespace unet
