// The pages a network is trained and validated on, ready for augmentation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "unet/labels.h"
#include "unet/model.h"

namespace unet {

/// One labelled image. All grids have its height and width.
struct TrainingPage {
  std::string name;                  // for people: file and page
  Image image;                       // [H,W,C] in [0,1]; see PixelScaling::to_unit
  float centre = 0;                  // subtracted after the gray-value augmentation
  LabelMap instances;                // id > 0, 0 background, -1 ignore; before carving
  LabelMap classes;                  // 0 .. classes-1 after carving, -1 ignore
  LabelMap uncarved;                 // classes before carving; kept where weight maps are made anew for each tile
  Image weights;                     // [H,W,1] weight map
  std::vector<float> class_weights;  // w_c of the set
  std::vector<int64_t> row_density;  // [H+1] sum of label_density() over the rows above each, and over all rows
};

struct TrainingSet {
  std::vector<TrainingPage> training, validation;
  std::vector<float> class_weights;  // w_c of each class, over all training pages
};

/// What a pixel of this class counts where tiles are drawn by label density: 10 on objects, 1 on background, 0 where
/// ignored. Source: Falk et al. 2019, who write 1, 0.1 and 0.
constexpr int64_t label_density(int32_t label) { return label > 0 ? 10 : label == 0 ? 1 : 0; }

/// Carves separation borders into the classes of every page, counts the classes over the training pages, and fills the
/// weight maps and densities. `instances` and uncarved `classes` are given. Throws DataError where tiles are drawn by
/// label density and a training page has no pixel with a label.
void prepare_weights(TrainingSet& set, int64_t classes, const TrainingConfig& config);

/// Where images and labels are; see list_image_files() for what a path may be.
struct TrainingInputs {
  std::string images, labels;
  std::string markers;                               // of objects that may lack labels; empty: all objects have labels
  std::string validation_images, validation_labels;  // empty: some of the pages above, as the configuration says
  std::string validation_markers;                    // beside validation_images; see markers
};

/// A pair and its number among all pairs of the images and labels it came from.
struct NumberedPair : PagePair {
  int64_t number = 0;
  std::optional<InputPage> markers{};
};

/// What markers say about the labels of all pages.
struct MarkerSurvey {
  int64_t objects = 0;             // marked
  int64_t unlabelled_objects = 0;  // of them
  double radius_px = 0;            // of the files, around the marks of the latter in which background is ignored
  int64_t ignored = 0, pixels = 0;

  /// One line for people.
  std::string describe() const;
};

/// All that is known once the files are read.
struct TrainingData {
  TrainingConfig config;  // with the network's channels and classes filled in
  ModelInfo info;
  TrainingSet set;
  std::vector<NumberedPair> training_pairs, validation_pairs;
  LabelSurvey labels;
  int64_t left_out = 0;  // images without labels
  std::optional<MarkerSurvey> markers{};
};

/// Reads, checks and prepares everything: pages, their labels and the ignored surroundings of marked objects without a
/// label, weight maps. Where config.data.marker_radius is -1 it becomes the distance from the nearest mark within which
/// all pixels of all labelled and marked training objects lie. Throws DataError (naming the file), IoError,
/// ConfigError.
TrainingData load_training_data(const TrainingInputs& inputs, const TrainingConfig& config);

}  // namespace unet
