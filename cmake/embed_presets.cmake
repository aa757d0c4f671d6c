# Writes the C++ table of presets declared in unet/presets.h.
# cmake -D OUTPUT=presets.cpp -D INPUTS="a.toml|b.toml" -P embed_presets.cmake
string(REPLACE "|" ";" inputs "${INPUTS}")
set(rows "")
foreach(input IN LISTS inputs)
  get_filename_component(name "${input}" NAME_WE)
  file(READ "${input}" text)
  string(APPEND rows "    {\"${name}\", R\"toml(${text})toml\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "#include \"unet/presets.h\"

namespace unet {
namespace {

constexpr Preset kTable[] = {
${rows}};

}  // namespace

const std::span<const Preset> kPresets{kTable};

}  // namespace unet
")
