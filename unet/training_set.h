// The pages a network is trained and validated on, ready for augmentation.
#pragma once

#include <string>
#include <vector>

#include "unet/config.h"
#include "unet/image.h"

namespace unet {

/// One labelled image. All grids have its height and width.
struct TrainingPage {
  std::string name;    // for people: file and page
  Image image;         // [H,W,C] in [0,1]; see PixelScaling::to_unit
  float centre = 0;    // subtracted after the gray-value augmentation
  LabelMap instances;  // id > 0, 0 background, -1 ignore; before carving
  LabelMap classes;    // 0 .. classes-1 after carving, -1 ignore
  Image weights;       // [H,W,1] weight map
};

struct TrainingSet {
  std::vector<TrainingPage> training, validation;
  std::vector<float> class_weights;  // w_c of each class, over all training pages
};

/// Computes instances' weights: carves separation borders, counts the classes over the training pages, and fills
/// classes and weights of every page. `instances` and uncarved `classes` are given.
void prepare_weights(TrainingSet& set, int64_t classes, const TrainingConfig& config);

}  // namespace unet
