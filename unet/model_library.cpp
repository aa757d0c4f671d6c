#include "unet/model_library.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "kernels/error.h"

namespace unet {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".safetensors";

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

std::string content_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

}  // namespace

std::map<std::string, std::string> card_facts(std::string_view card) {
  std::map<std::string, std::string> facts;
  while (!card.empty()) {
    const std::string_view line = trimmed(card.substr(0, card.find('\n')));
    card.remove_prefix(std::min(card.find('\n'), card.size() - 1) + 1);
    const size_t bar = line.find('|', 1), end = line.rfind('|');
    if (!line.starts_with('|') || bar == end || line.find('|', bar + 1) != end) continue;
    const std::string_view name = trimmed(line.substr(1, bar - 1));
    if (!name.empty() && name[0] != '-') facts.emplace(name, trimmed(line.substr(bar + 1, end - bar - 1)));
  }
  return facts;
}

fs::path model_folder(const fs::path& program, const std::string& chosen) {
  if (!chosen.empty()) return chosen;
  const fs::path folder = program.parent_path();
  const fs::path installed = folder.parent_path() / "share" / "unet" / "models";
  return fs::is_directory(installed) ? installed : folder.parent_path().parent_path() / "models";
}

std::vector<LibraryModel> library_models(const fs::path& folder) {
  std::vector<LibraryModel> models;
  if (!fs::is_directory(folder)) return models;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const fs::path& file = entry->path();
    if (file.extension() != kExtension) continue;
    const std::string card = content_of(fs::path(file).replace_extension(".md"));
    models.push_back({file.stem().string(), file, card_facts(card)});
  }
  if (error) throw IoError(concat("list ", folder.string(), ": ", error.message()));
  std::sort(models.begin(), models.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return models;
}

fs::path find_model(const std::string& name, const fs::path& folder) {
  if (fs::is_regular_file(name)) return name;
  const fs::path of_run = fs::path(name) / concat("model", kExtension);
  if (fs::is_regular_file(of_run)) return of_run;
  if (name.find('/') != std::string::npos || fs::path(name).has_extension()) return name;
  std::string names;
  for (const LibraryModel& model : library_models(folder)) {
    if (model.name == name) return model.file;
    names += (names.empty() ? "" : ", ") + model.name;
  }
  throw ConfigError(concat("--model: expected a file, or one of the models in ", folder.string(), " (",
                           names.empty() ? "none" : names, "), got ", name,
                           "; UNET_MODELS may name another folder of models"));
}

}  // namespace unet
