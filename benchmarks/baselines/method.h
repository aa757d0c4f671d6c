// Networks that segment pages, trained and timed in one and the same way.
#pragma once

#include <functional>
#include <string>

#include "benchmarks/baselines/patch_classifier.h"
#include "unet/config.h"

namespace unet::baselines {

struct Method {
  std::string name;
  std::shared_ptr<engine::Device> device;
  engine::ParameterList parameters;
  /// Loss [1] of a training sample, recorded; the step counts what is drawn at random.
  std::function<engine::Tensor(const Sample& sample, int64_t step)> loss;
  /// Probabilities [part.height,part.width,classes] of a part of a page [H,W,C], the values centred as in training.
  std::function<Image(const Image& page, const Rect& part)> segment;
  /// Multiply-adds that segment() spends on a part of a page.
  std::function<double(const Rect& part)> multiply_adds;
  /// Slower ways to the same probabilities with the same parameters, under names of their own; not to be trained.
  std::vector<Method> variants{};
};

/// The network of the configuration, as in unet_train.
Method unet_method(const std::shared_ptr<engine::Device>& device, const TrainingConfig& config);

/// The fully convolutional network of the same depth and width.
Method fcn_method(const std::shared_ptr<engine::Device>& device, const TrainingConfig& config);

/// Patches in one pass of the network.
struct PatchBatches {
  int64_t training = 64;
  int64_t inference = 8;  // fastest on a CPU: what one layer leaves lies in the cache when the next one reads it
};

/// A sliding window; the channels of images and the classes are those of the configuration. It segments with the work
/// shared between patches; its variant runs the network for each pixel, as Ciresan et al. did.
Method patch_method(const std::shared_ptr<engine::Device>& device, const TrainingConfig& config,
                    PatchClassifierConfig patches, const PatchBatches& batches);

/// Time taken, by the clock and by the processor in all threads of this program.
struct Duration {
  double wall_s = 0, cpu_s = 0;
};

/// Measures since it was made.
class Stopwatch {
 public:
  Stopwatch();
  Duration elapsed() const;

 private:
  Duration start_;
};

struct TrainingCost {
  int64_t steps = 0;
  Duration time;
  double loss = 0;  // mean over the last tenth of the steps
};

/// Trains on one sample after the other, draw_sample() numbers 0, 1, ..., with Adam and the configuration's rates,
/// until `steps` are done or `cpu_limit_s` of processor time are used up; 0: no such limit. Deterministic where only
/// steps limit it. Throws ConfigError for another optimiser and without any limit, NumericError for a loss that is not
/// finite.
TrainingCost train(const Method& method, const std::vector<TrainingPage>& pages, const TrainingConfig& config,
                   int64_t steps, double cpu_limit_s);

}  // namespace unet::baselines
