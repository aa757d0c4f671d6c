// Model files: weights and everything needed to use them on new images.
#pragma once

#include <filesystem>

#include "engine/safetensors.h"
#include "unet/config.h"
#include "unet/image_metadata.h"
#include "unet/instances.h"
#include "unet/network.h"

namespace unet {

/// What a model file says beside the weights.
struct ModelInfo {
  NetworkConfig network;
  InputNormalisation normalisation = InputNormalisation::centred;
  LabelKind labels = LabelKind::classes;
  std::vector<int64_t> class_values;  // value of each class in the training labels
  int64_t tile = 572;                 // px, side of the training tile
  PixelSize pixel_size;               // of the training images
  double scale = 1;                   // by which they were enlarged for the network
  double threshold = 0.5;             // two classes: probability of the last from which a pixel belongs to it
  InstanceOptions instances;          // how its classes become instances
  bool operator==(const ModelInfo&) const;
};

/// As metadata of a safetensors file ("unet.model", JSON), and back; threshold and instances may be missing. Throws
/// CheckpointError naming what is missing or wrong.
engine::Metadata to_metadata(const ModelInfo& info);
ModelInfo model_info(const engine::Metadata& metadata);

/// A trained network and how to feed it.
struct Model {
  ModelInfo info;
  Network network;
};

/// Writes the weights under the names of Network::parameters(); whole or not at all. Throws NumericError where one is
/// not finite, IoError.
void save_model(const std::filesystem::path& path, const Network& network, const ModelInfo& info);

/// Throws CheckpointError where the file is damaged or no model of this program, IoError where it cannot be read.
Model load_model(const std::filesystem::path& path, const std::shared_ptr<engine::Device>& device);

/// Fine-tuning: sets the network's weights to those of a model of the same architecture whose images were normalised
/// alike. `info` describes the run that starts. Throws CheckpointError naming the first setting that differs and both
/// values, and what load_model() throws.
void load_initial_weights(const std::filesystem::path& path, const Network& network, const ModelInfo& info);

}  // namespace unet
