#include "unet/model.h"

#include <nlohmann/json.hpp>

#include "engine/tensor_file.h"

namespace unet {
namespace {

constexpr const char* kModelKey = "unet.model";

InstanceOptions instance_options(const nlohmann::json& json) {
  const auto connectivity = json.at("connectivity").get<int64_t>();
  if (connectivity != 4 && connectivity != 8) {
    throw ConfigError(concat("instances.connectivity: expected 4 or 8, got ", connectivity));
  }
  return {.connectivity = static_cast<Connectivity>(connectivity),
          .fill_holes = json.at("fill_holes").get<bool>(),
          .min_area_px = json.at("min_area").get<int64_t>(),
          .split = json.at("split").get<double>(),
          .regrow = json.at("regrow").get<bool>()};
}

/// Throws ConfigError for a number that unet_train would not have written.
void check_numbers(const ModelInfo& info) {
  const auto require = [](const char* key, double value, double low, double high) {
    if (!(value >= low && value <= high)) {
      throw ConfigError(concat(key, ": expected ", low, " .. ", high, ", got ", value));
    }
  };
  require("tile", static_cast<double>(info.tile), 1, 1 << 20);
  require("scale", info.scale, 0.01, 100);
  require("threshold", info.threshold, 0, 1);
  require("instances.split", info.instances.split, 0, 1);
  require("instances.min_area", static_cast<double>(info.instances.min_area_px), 0, 1e12);
}

}  // namespace

bool ModelInfo::operator==(const ModelInfo& other) const { return to_metadata(*this) == to_metadata(other); }

engine::Metadata to_metadata(const ModelInfo& info) {
  const NetworkConfig& n = info.network;
  const nlohmann::json json{
      {"network",
       {{"in_channels", n.in_channels},
        {"classes", n.classes},
        {"depth", n.depth},
        {"width", n.width},
        {"up_relu", n.up_relu},
        {"last_up_channels", n.last_up_channels},
        {"dropout", n.dropout},
        {"upconv_fan", name_of(n.upconv_fan)}}},
      {"normalisation", name_of(info.normalisation)},
      {"labels", name_of(info.labels)},
      {"class_values", info.class_values},
      {"tile", info.tile},
      {"scale", info.scale},
      {"threshold", info.threshold},
      {"pixel_size_um", {info.pixel_size.height_um, info.pixel_size.width_um, info.pixel_size.depth_um}},
      {"instances",
       {{"connectivity", static_cast<int>(info.instances.connectivity)},
        {"min_area", info.instances.min_area_px},
        {"fill_holes", info.instances.fill_holes},
        {"split", info.instances.split},
        {"regrow", info.instances.regrow}}}};
  return {{kModelKey, json.dump()}};
}

ModelInfo model_info(const engine::Metadata& metadata) {
  const auto found = metadata.find(kModelKey);
  if (found == metadata.end()) {
    throw CheckpointError(concat("model: expected a model written by unet_train, got a safetensors file without \"",
                                 kModelKey, "\" in its metadata"));
  }
  try {
    const auto json = nlohmann::json::parse(found->second);
    const auto& n = json.at("network");
    ModelInfo info;
    info.network = {.in_channels = n.at("in_channels").get<int64_t>(),
                    .classes = n.at("classes").get<int64_t>(),
                    .depth = n.at("depth").get<int64_t>(),
                    .width = n.at("width").get<int64_t>(),
                    .up_relu = n.at("up_relu").get<bool>(),
                    .last_up_channels = n.at("last_up_channels").get<int64_t>(),
                    .dropout = n.at("dropout").get<double>(),
                    .upconv_fan = parse_enum<UpconvFan>("upconv_fan", n.at("upconv_fan").get<std::string>())};
    info.network.validate();
    info.normalisation = parse_enum<InputNormalisation>("normalisation", json.at("normalisation").get<std::string>());
    info.labels = parse_enum<LabelKind>("labels", json.at("labels").get<std::string>());
    info.class_values = json.at("class_values").get<std::vector<int64_t>>();
    info.tile = json.at("tile").get<int64_t>();
    info.scale = json.value("scale", 1.0);
    const auto& pixel = json.at("pixel_size_um");
    info.pixel_size = {.width_um = pixel.at(1).get<double>(),
                       .height_um = pixel.at(0).get<double>(),
                       .depth_um = pixel.at(2).get<double>()};
    info.threshold = json.value("threshold", info.threshold);
    if (json.contains("instances")) info.instances = instance_options(json["instances"]);
    check_numbers(info);
    return info;
  } catch (const nlohmann::json::exception& e) {
    throw CheckpointError(concat("model: the description in the metadata cannot be read: ", e.what()));
  } catch (const ConfigError& e) {
    throw CheckpointError(concat("model: the description in the metadata cannot be used: ", e.what()));
  }
}

void save_model(const std::filesystem::path& path, const Network& network, const ModelInfo& info) {
  engine::save_tensors(path, network.parameters(), to_metadata(info));
}

Model load_model(const std::filesystem::path& path, const std::shared_ptr<engine::Device>& device) {
  const engine::SafetensorsFile file(path);
  ModelInfo info = model_info(file.metadata());
  Network network(device, info.network, 0);
  engine::load_tensors(file, network.parameters());
  return {std::move(info), std::move(network)};
}

void load_initial_weights(const std::filesystem::path& path, const Network& network, const ModelInfo& info) {
  const engine::SafetensorsFile file(path);
  const ModelInfo model = model_info(file.metadata());
  const auto require_equal = [&](const char* key, const auto& ours, const auto& theirs) {
    if (ours == theirs) return;
    throw CheckpointError(concat("initial model: expected ", key, " = ", ours, " as in this run, got ", theirs, " in ",
                                 path.string(), "; set the same in this run, or start from another model"));
  };
  const NetworkConfig &ours = info.network, &theirs = model.network;
  const auto last_up = [](const NetworkConfig& n) { return n.last_up_channels == 0 ? n.width : n.last_up_channels; };
  require_equal("network.in_channels", ours.in_channels, theirs.in_channels);
  require_equal("network.classes", ours.classes, theirs.classes);
  require_equal("network.depth", ours.depth, theirs.depth);
  require_equal("network.width", ours.width, theirs.width);
  require_equal("network.up_relu", ours.up_relu, theirs.up_relu);
  require_equal("network.last_up_channels", last_up(ours), last_up(theirs));
  require_equal("data.normalisation", name_of(info.normalisation), name_of(model.normalisation));
  engine::load_tensors(file, network.parameters());
}

}  // namespace unet
