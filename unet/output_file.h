// Small output files written in one go.
#pragma once

#include <filesystem>
#include <string_view>

namespace unet {

/// The file appears under its name complete or not at all (engine::AtomicFile). Throws IoError.
void write_file(const std::filesystem::path& path, std::string_view content);

}  // namespace unet
