#include "unet/training_set.h"

#include "unet/separation.h"
#include "unet/weight_map.h"

namespace unet {

void prepare_weights(TrainingSet& set, int64_t classes, const TrainingConfig& config) {
  ClassFrequencies frequencies(classes);
  for (std::vector<TrainingPage>* pages : {&set.training, &set.validation}) {
    for (TrainingPage& page : *pages) {
      page.classes = separate_instances(page.instances, page.classes, config.weight_map.border);
      if (pages == &set.training) frequencies.add(page.classes);
    }
  }
  set.class_weights = frequencies.weights(config.weight_map.class_balance);
  for (std::vector<TrainingPage>* pages : {&set.training, &set.validation}) {
    for (TrainingPage& page : *pages) {
      page.weights = weight_map(page.instances, page.classes, set.class_weights, config.weight_map);
    }
  }
}

}  // namespace unet
