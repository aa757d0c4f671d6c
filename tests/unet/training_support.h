// What tests of training share: pages that a small network learns in seconds.
#pragma once

#include <memory>
#include <vector>

#include "kernels/philox.h"
#include "unet/trainer.h"

namespace unet::test {

/// Bright discs on a dark ground.
inline TrainingPage disc_page(int index) {
  TrainingPage page{.name = concat("page ", index), .image = Image(64, 72), .centre = 0.5F};
  page.instances = LabelMap(64, 72);
  for (int64_t y = 0; y < 64; ++y) {
    for (int64_t x = 0; x < 72; ++x) {
      const int64_t cy = y % 21 - 10, cx = (x + 5 * index) % 23 - 11;
      const bool inside = cy * cy + cx * cx < 60;
      page.instances.at(y, x) = inside ? static_cast<int32_t>(1 + (y / 21) * 10 + (x + 5 * index) / 23) : 0;
      const float noise = kernels::uniform(
          kernels::philox({.seed = static_cast<uint64_t>(index)}, static_cast<uint64_t>(72 * y + x)).word[0]);
      page.image.at(y, x) = (inside ? 0.7F : 0.3F) + 0.2F * (noise - 0.5F);
    }
  }
  page.classes = page.instances;
  for (int32_t& c : page.classes.data) c = std::min(c, 1);
  return page;
}

inline TrainingConfig small_config() {
  TrainingConfig config;
  config.network = {.depth = 1, .width = 8, .dropout = 0.2};
  config.tile = {.input = 34, .batch = 2};
  config.optimizer.kind = OptimizerKind::adam;
  config.optimizer.lr = 3e-3;
  config.schedule.warmup = 3;
  config.augmentation.elastic_sigma = 1;
  config.run.steps = 40;
  config.run.validation_interval = 20;
  config.run.checkpoint_interval = 10;
  return config;
}

/// Three pages to train on and one to validate on.
inline TrainingSet small_set(const TrainingConfig& config) {
  TrainingSet set;
  for (int i = 0; i < 3; ++i) set.training.push_back(disc_page(i));
  set.validation.push_back(disc_page(7));
  prepare_weights(set, 2, config);
  return set;
}

inline Trainer make_trainer(const std::shared_ptr<engine::Device>& device, const TrainingConfig& config) {
  return {device, config, small_set(config), ModelInfo{.network = config.network}};
}

inline std::vector<float> weights_of(const Trainer& trainer) {
  std::vector<float> all;
  for (const auto& p : trainer.network().parameters()) {
    const auto v = p.value.to_vector();
    all.insert(all.end(), v.begin(), v.end());
  }
  return all;
}

}  // namespace unet::test
