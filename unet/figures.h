// figures.html: what training does to one's own images, as one page that opens anywhere without a network.
#pragma once

#include <filesystem>
#include <string>

#include "unet/training_set.h"

namespace unet {

/// Every step from a labelled page to what the network is fed, on a page of `set` and with the functions that training
/// uses: labels and objects, separation borders, weight maps, elastic deformation, rotation, shift and flips,
/// gray-value curves, overlap-tiles, complete samples, and where tiles are drawn. Each figure also shows what `config`
/// did not choose, and says what it did. Numbers stand in captions and tables. Equal input gives an equal page, but for
/// the date.
///
/// name: of the run. config: resolved, as load_training_data() returns it.
std::string render_figures(const std::string& name, const TrainingSet& set, const TrainingConfig& config,
                           const ModelInfo& info);

/// Renders to a file that appears whole or not at all. Throws IoError.
void write_figures(const std::filesystem::path& path, const TrainingSet& set, const TrainingConfig& config,
                   const ModelInfo& info);

}  // namespace unet
