// Trained models that come with the project: NAME.safetensors and its model card NAME.md in one folder.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace unet {

struct LibraryModel {
  std::string name;
  std::filesystem::path file;
  std::map<std::string, std::string> card;  // facts of the card, see card_facts(); empty where there is no card
};

/// The rows `| name | fact |` of tables with two columns in a model card, a Markdown text; of equal names the first.
std::map<std::string, std::string> card_facts(std::string_view card);

/// The folder that `chosen` names if it is not empty (for UNET_MODELS), else where models lie for a program at this
/// path: share/unet/models of an installation, or models/ of the source tree that holds the build folder. May not
/// exist.
std::filesystem::path model_folder(const std::filesystem::path& program, const std::string& chosen);

/// The models of a folder by name; none where it does not exist. Throws IoError where it cannot be read.
std::vector<LibraryModel> library_models(const std::filesystem::path& folder);

/// The file that `name` means: itself, if it is a file; the model.safetensors in it, if it is a folder that unet_train
/// wrote; else the model of this name in `folder`. Text with a slash or an extension is always a path and need not
/// exist. Throws ConfigError for an unknown name, with the names there are.
std::filesystem::path find_model(const std::string& name, const std::filesystem::path& folder);

}  // namespace unet
