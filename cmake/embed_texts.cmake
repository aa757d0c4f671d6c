# Writes a C++ table of texts declared in unet/embedded_text.h.
# cmake -D TABLE=kPresets -D OUTPUT=presets.cpp -D INPUTS="a.toml|b.toml" -P embed_texts.cmake
string(REPLACE "|" ";" inputs "${INPUTS}")
set(rows "")
foreach(input IN LISTS inputs)
  get_filename_component(name "${input}" NAME)
  file(READ "${input}" text)
  string(APPEND rows "    {\"${name}\", R\"text(${text})text\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "#include \"unet/embedded_text.h\"

namespace unet {
namespace {

constexpr EmbeddedText kTable[] = {
${rows}};

}  // namespace

const std::span<const EmbeddedText> ${TABLE}{kTable};

}  // namespace unet
")
