// The training loop's parts: one step, one validation, and the state between them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

#include "engine/captured_work.h"
#include "engine/optimizer.h"
#include "engine/staged_tensor.h"
#include "unet/augment.h"
#include "unet/model.h"
#include "unet/prefetch.h"
#include "unet/training_log.h"
#include "unet/training_set.h"

namespace unet {

/// Trains one network. Everything random is a function of the seed and the step, so a trainer that was saved and
/// loaded goes on bit for bit as if it had not stopped. Exception: with a time limit the learning rate follows the
/// clock.
///
/// On a device that can capture, forward and backward pass are recorded as a graph in the second step and replayed from
/// then on; the next sample travels to the device, and the next pass starts, before the results of a step are told.
/// The numbers are those of direct execution. See docs/design/0003-training-steps-as-graphs.md.
class Trainer {
 public:
  /// `config` is resolved (in_channels and classes set). Sample threads start with the first step.
  /// Throws ConfigError where the tile does not fit the network.
  Trainer(std::shared_ptr<engine::Device> device, TrainingConfig config, TrainingSet set, ModelInfo info);

  /// One update. An update whose loss or gradient is not finite is skipped; throws NumericError, naming the first bad
  /// tensor, when ten in a row were.
  StepRecord step();

  /// Loss (unweighted, mean over valid pixels) and metrics over the validation pages, whole pages by tiles. Marks the
  /// record as best where it is. `see` gets each page's probabilities.
  using SeePrediction = std::function<void(const TrainingPage& page, const Image& probabilities)>;
  ValidationRecord validate(const SeePrediction& see = {});

  /// Weights, optimiser and progress; whole or not at all.
  void save_checkpoint(const std::filesystem::path& path) const;
  /// Throws CheckpointError where the file is damaged or belongs to another configuration.
  void load_checkpoint(const std::filesystem::path& path);

  const Network& network() const { return network_; }
  const ModelInfo& info() const { return info_; }
  const TrainingConfig& config() const { return config_; }
  const TrainingSet& set() const { return set_; }

  int64_t steps_done() const { return progress_.steps; }
  int64_t skipped() const { return progress_.skipped; }
  /// Validations since the best one.
  int64_t validations_without_improvement() const { return progress_.stale_validations; }
  /// Seconds trained, over all sessions.
  double seconds() const { return progress_.seconds; }
  /// Share of the run that is done, by steps or by time, 0 to 1.
  double fraction_done() const;
  bool finished() const { return fraction_done() >= 1; }

 private:
  struct Progress {
    int64_t steps = 0;
    int64_t skipped = 0, skipped_in_a_row = 0;
    int64_t stale_validations = 0;
    double best = 0;  // value of the selected metric
    bool has_best = false;
    double seconds = 0;
  };
  struct Batch {
    std::vector<float> images;    // [B,H,W,C]
    std::vector<int32_t> labels;  // [B,h,w,1]
    std::vector<float> weights;   // [B,h,w,1]
  };

  /// What a step reads and leaves on the device.
  struct Pass {
    engine::StagedTensor images;   // [B,H,W,C] f32
    engine::StagedTensor labels;   // [B,h,w,1] i32
    engine::StagedTensor weights;  // [B,h,w,1] f32
    engine::StagedTensor number;   // [1] i32, of the step
    std::optional<engine::StepStatistics> statistics;
  };

  Batch make_batch(int64_t step) const;
  void upload(int64_t step);
  void start_pass(int64_t step);
  void run_pass();
  void start_ahead();
  void forget_pass();
  std::string first_bad_tensor() const;

  std::shared_ptr<engine::Device> device_;
  TrainingConfig config_;
  TrainingSet set_;
  ModelInfo info_;
  Network network_;
  std::unique_ptr<engine::Optimizer> optimizer_;
  Progress progress_;
  double wait_seconds_ = 0;  // for samples, in the present step
  std::unique_ptr<Prefetch<Batch>> batches_;

  std::unique_ptr<Pass> pass_;
  std::unique_ptr<engine::CapturedWork> captured_;  // run_pass()
  bool warm_ = false;                               // a pass has been executed directly: its memory is at hand
  bool captures_ = false;                           // passes are to be captured
  int64_t uploaded_ = -1, started_ = -1;            // newest step whose sample, whose pass is on its way
};

}  // namespace unet
