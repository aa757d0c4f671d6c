#include "unet/trainer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

#include "engine/adam.h"
#include "engine/autograd.h"
#include "engine/checksum.h"
#include "engine/sgd.h"
#include "engine/softmax_cross_entropy.h"
#include "engine/tensor_file.h"
#include "unet/inference.h"
#include "unet/metrics.h"
#include "unet/random.h"

namespace unet {
namespace {

using engine::Shape;
using engine::Tensor;

constexpr int64_t kMaxSkippedInARow = 10;
constexpr const char* kTrainerKey = "unet.trainer";
constexpr const char* kConfigKey = "unet.config";
constexpr const char* kDataKey = "unet.data";

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

DType dtype_of(Precision precision) { return precision == Precision::bf16 ? DType::bf16 : DType::f32; }

std::unique_ptr<engine::Optimizer> make_optimizer(const OptimizerConfig& config, const Network& network) {
  engine::ParameterList parameters = network.parameters(config.bias_lr_factor);
  if (config.kind == OptimizerKind::adam) {
    return std::make_unique<engine::Adam>(
        std::move(parameters),
        engine::AdamOptions{
            .beta1 = config.beta1, .beta2 = config.beta2, .eps = config.epsilon, .weight_decay = config.weight_decay});
  }
  return std::make_unique<engine::Sgd>(
      std::move(parameters), engine::SgdOptions{.momentum = config.momentum, .weight_decay = config.weight_decay});
}

/// What must be equal for a checkpoint to be gone on with: all but how long to train and on how many threads.
std::string resumable_text(TrainingConfig config) {
  const RunConfig defaults;
  config.run.steps = defaults.steps;
  config.run.time_limit = defaults.time_limit;
  config.run.early_stop = defaults.early_stop;
  config.run.checkpoint_interval = defaults.checkpoint_interval;
  config.run.threads = defaults.threads;
  return to_toml(config);
}

/// A checksum of everything that pages contribute to training: a run can only be resumed on the same data.
std::string data_checksum(const TrainingSet& set) {
  uint32_t sum = 0;
  const auto add = [&](const auto& grid) {
    const std::array<int64_t, 3> shape{grid.height, grid.width, grid.channels};
    sum = engine::crc32c(std::as_bytes(std::span(shape)), sum);
    sum = engine::crc32c(std::as_bytes(std::span(grid.data)), sum);
  };
  for (const std::vector<TrainingPage>* pages : {&set.training, &set.validation}) {
    for (const TrainingPage& page : *pages) {
      sum = engine::crc32c(std::as_bytes(std::span(&page.centre, 1)), sum);
      add(page.image);
      add(page.classes);
      add(page.weights);
      if (page.uncarved.pixels() == 0) continue;
      add(page.instances);  // of which weight maps are made anew
      add(page.uncarved);
    }
  }
  return concat(set.training.size(), " training and ", set.validation.size(), " validation pages, CRC-32C ", sum);
}

bool is_finite(const Tensor& t) {
  const std::vector<float> values = t.to_vector();
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace

Trainer::Trainer(std::shared_ptr<engine::Device> device, TrainingConfig config, TrainingSet set, ModelInfo info)
    : device_(std::move(device)),
      config_(std::move(config)),
      set_(std::move(set)),
      info_(std::move(info)),
      network_(device_, config_.network, static_cast<uint64_t>(config_.run.seed)),
      optimizer_(make_optimizer(config_.optimizer, network_)),
      captures_(device_->captures()) {
  if (set_.training.empty()) throw DataError("training: expected at least one training page, got none");
  TileRule(static_cast<int>(config_.network.depth)).output(config_.tile.input);
  if (config_.run.select == Selection::pixel_error && config_.network.classes != 2) {
    throw ConfigError(concat("run.select: pixel_error is for two classes, these labels have ", config_.network.classes,
                             "; use iou or loss"));
  }
}

double Trainer::fraction_done() const {
  double fraction = static_cast<double>(progress_.steps) / static_cast<double>(config_.run.steps);
  if (config_.run.time_limit > 0) fraction = std::max(fraction, progress_.seconds / config_.run.time_limit);
  return std::min(fraction, 1.0);
}

Trainer::Batch Trainer::make_batch(int64_t step) const {
  Batch batch;
  for (int64_t i = 0; i < config_.tile.batch; ++i) {
    const Sample sample = draw_sample(set_.training, config_, step * config_.tile.batch + i);
    batch.images.insert(batch.images.end(), sample.image.data.begin(), sample.image.data.end());
    batch.labels.insert(batch.labels.end(), sample.labels.data.begin(), sample.labels.data.end());
    batch.weights.insert(batch.weights.end(), sample.weights.data.begin(), sample.weights.data.end());
  }
  return batch;
}

/// Sends the sample of a step to the device.
void Trainer::upload(int64_t step) {
  if (uploaded_ == step) return;
  if (!batches_) {
    const int workers = std::max(1, device_->context().threads / 2);
    batches_ = std::make_unique<Prefetch<Batch>>([this](int64_t number) { return make_batch(number); }, step, workers,
                                                 2 * workers + 1);
  }
  if (!pass_) {
    const int64_t side = config_.tile.input, count = config_.tile.batch;
    const int64_t out = TileRule(static_cast<int>(config_.network.depth)).output(side);
    pass_ = std::unique_ptr<Pass>(new Pass{{device_, Shape{count, side, side, config_.network.in_channels}, DType::f32},
                                           {device_, Shape{count, out, out, 1}, DType::i32},
                                           {device_, Shape{count, out, out, 1}, DType::f32},
                                           {device_, Shape{1}, DType::i32},
                                           {}});
  }
  const double start = now_s();
  const Batch batch = batches_->next();
  wait_seconds_ += now_s() - start;
  const auto number = static_cast<int32_t>(step);
  pass_->images.start<float>(step, batch.images);
  pass_->labels.start<int32_t>(step, batch.labels);
  pass_->weights.start<float>(step, batch.weights);
  pass_->number.start<int32_t>(step, std::span(&number, 1));
  uploaded_ = step;
}

/// Forward and backward pass over the present sample: gradients and statistics.
void Trainer::run_pass() {
  engine::clear_gradients(optimizer_->parameters());
  const kernels::PhiloxKey dropout{.seed = static_cast<uint64_t>(config_.run.seed),
                                   .purpose = static_cast<uint32_t>(Purpose::dropout)};
  const Tensor scores =
      network_.forward(pass_->images.tensor(), dtype_of(config_.run.precision), &dropout, pass_->number.tensor());
  const Tensor loss = engine::softmax_cross_entropy(scores, pass_->labels.tensor(), pass_->weights.tensor(),
                                                    config_.loss.normalisation == LossNormalisation::mean
                                                        ? engine::LossNormalization::valid_pixels
                                                        : engine::LossNormalization::weight_sum);
  engine::backward(loss);
  pass_->statistics.emplace(loss, optimizer_->parameters());
}

/// Gives the device the passes of a step.
void Trainer::start_pass(int64_t step) {
  upload(step);
  for (engine::StagedTensor* input : {&pass_->images, &pass_->labels, &pass_->weights, &pass_->number}) {
    input->finish(step);
  }
  if (warm_ && !captured_ && captures_) {
    try {
      captured_ = std::make_unique<engine::CapturedWork>(device_, [this] { run_pass(); });
    } catch (const OutOfMemory&) {  // what a graph works in is not shared with others
      captures_ = false;
    }
  }
  if (captured_) {
    captured_->replay();
  } else {
    run_pass();
    warm_ = true;
  }
  started_ = step;
}

/// Starts the next step's pass before it is asked for.
void Trainer::start_ahead() {
  try {
    start_pass(progress_.steps);
  } catch (const Error&) {  // comes up again, and is told, when the step is asked for
    forget_pass();
  }
}

/// The next step starts anew: after an error, or with other weights.
void Trainer::forget_pass() {
  captured_.reset();
  engine::clear_gradients(optimizer_->parameters());
  pass_.reset();
  batches_.reset();
  warm_ = false;
  uploaded_ = started_ = -1;
}

StepRecord Trainer::step() {
  const double start = now_s();
  const int64_t number = progress_.steps;
  wait_seconds_ = 0;
  // A device has work for the time in which the host looks at results.
  const bool ahead = device_->state().can_capture() && number + 1 < config_.run.steps;
  try {
    if (started_ != number) start_pass(number);
    if (ahead) upload(number + 1);
    const engine::StepStatistics::Values statistics = pass_->statistics->read();

    StepRecord record{.step = number,
                      .loss = statistics.loss,
                      .learning_rate = config_.optimizer.lr * config_.schedule.factor(number, fraction_done()),
                      .gradient_norm = statistics.gradient_norm};
    record.skipped = !std::isfinite(record.loss) || !std::isfinite(record.gradient_norm);
    if (record.skipped) {
      ++progress_.skipped;
      if (++progress_.skipped_in_a_row >= kMaxSkippedInARow) {
        throw NumericError(concat("training: ", kMaxSkippedInARow,
                                  " steps in a row without a finite gradient, first bad: ", first_bad_tensor(),
                                  "; lower optimizer.lr, or look for extreme values in the images"));
      }
    } else {
      progress_.skipped_in_a_row = 0;
      optimizer_->step(record.learning_rate);
    }
    if (!captured_) engine::clear_gradients(optimizer_->parameters());
    ++progress_.steps;
    if (ahead) start_ahead();
    record.seconds = now_s() - start;
    record.wait_seconds = wait_seconds_;
    progress_.seconds += record.seconds;
    return record;
  } catch (...) {
    forget_pass();
    throw;
  }
}

std::string Trainer::first_bad_tensor() const {
  for (const auto& p : optimizer_->parameters()) {
    if (!is_finite(p.value)) return p.name;
    if (p.value.grad() && !is_finite(p.value.grad())) return "gradient of " + p.name;
  }
  return "loss";
}

ValidationRecord Trainer::validate(const SeePrediction& see) {
  const double start = now_s();
  captured_.reset();  // its memory serves the tiles now
  ValidationRecord record{.step = progress_.steps};
  double loss_sum = 0;
  int64_t pixels = 0;
  ConfusionMatrix confusion(config_.network.classes);
  PixelError pixel_error;
  for (const TrainingPage& page : set_.validation) {
    Image image = page.image;
    for (float& v : image.data) v -= page.centre;
    const Image p = predict(network_, image, {.precision = dtype_of(config_.run.precision)});
    const int64_t classes = p.channels;
    for (int64_t i = 0; i < page.classes.pixels(); ++i) {
      const int32_t label = page.classes.data[static_cast<size_t>(i)];
      if (label < 0) continue;
      const float likelihood = p.data[static_cast<size_t>(i * classes + label)];
      loss_sum -= std::log(std::max(likelihood, std::numeric_limits<float>::min()));
      ++pixels;
    }
    confusion.add_probabilities(p, page.classes);
    if (classes == 2) pixel_error.add(p, page.classes);
    if (see) see(page, p);
  }
  record.loss = pixels > 0 ? loss_sum / static_cast<double>(pixels) : 0;
  record.metrics = {{"iou", confusion.mean_iou()}, {"pixel_accuracy", confusion.pixel_accuracy()}};
  if (config_.network.classes == 2)
    record.metrics.insert(record.metrics.begin() + 1, {"pixel_error", pixel_error.best().error});

  double value = confusion.mean_iou();
  if (config_.run.select == Selection::loss) value = -record.loss;
  if (config_.run.select == Selection::pixel_error) value = -pixel_error.best().error;
  record.best = config_.run.select == Selection::latest || !progress_.has_best || value > progress_.best;
  if (record.best) {
    progress_.best = value;
    progress_.has_best = true;
    progress_.stale_validations = 0;
  } else {
    ++progress_.stale_validations;
  }
  progress_.seconds += now_s() - start;
  return record;
}

void Trainer::save_checkpoint(const std::filesystem::path& path) const {
  engine::Metadata metadata = to_metadata(info_);
  metadata[kConfigKey] = resumable_text(config_);
  metadata[kDataKey] = data_checksum(set_);
  metadata[kTrainerKey] = nlohmann::json{
      {"steps", progress_.steps},
      {"skipped", progress_.skipped},
      {"skipped_in_a_row", progress_.skipped_in_a_row},
      {"stale_validations", progress_.stale_validations},
      {"best", progress_.best},
      {"has_best", progress_.has_best},
      {"seconds", progress_.seconds},
      {"optimizer_steps",
       optimizer_->steps()}}.dump();
  engine::ParameterList tensors = engine::with_prefix("model/", network_.parameters());
  const engine::ParameterList state = engine::with_prefix("optimizer/", optimizer_->state());
  tensors.insert(tensors.end(), state.begin(), state.end());
  engine::save_tensors(path, tensors, metadata);
}

void Trainer::load_checkpoint(const std::filesystem::path& path) {
  const engine::SafetensorsFile file(path);
  const auto text = [&](const char* key) -> const std::string& {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end()) {
      throw CheckpointError(
          concat("checkpoint: ", path.string(), ": expected \"", key, "\" in the metadata, got none"));
    }
    return found->second;
  };
  if (text(kConfigKey) != resumable_text(config_)) {
    throw CheckpointError(concat("checkpoint: ", path.string(),
                                 " was made with another configuration; resume with the "
                                 "options of the first start, or train into a new folder with --init"));
  }
  if (text(kDataKey) != data_checksum(set_)) {
    throw CheckpointError(concat("checkpoint: ", path.string(), " was made on other data (", text(kDataKey), "; now ",
                                 data_checksum(set_), "); resume with the images and labels of the first start"));
  }
  Progress progress;
  int64_t optimizer_steps = 0;
  try {
    const auto json = nlohmann::json::parse(text(kTrainerKey));
    progress = {.steps = json.at("steps").get<int64_t>(),
                .skipped = json.at("skipped").get<int64_t>(),
                .skipped_in_a_row = json.at("skipped_in_a_row").get<int64_t>(),
                .stale_validations = json.at("stale_validations").get<int64_t>(),
                .best = json.at("best").get<double>(),
                .has_best = json.at("has_best").get<bool>(),
                .seconds = json.at("seconds").get<double>()};
    optimizer_steps = json.at("optimizer_steps").get<int64_t>();
  } catch (const nlohmann::json::exception& e) {
    throw CheckpointError(concat("checkpoint: ", path.string(), ": the trainer's state cannot be read: ", e.what()));
  }
  engine::ParameterList tensors = engine::with_prefix("model/", network_.parameters());
  const engine::ParameterList state = engine::with_prefix("optimizer/", optimizer_->state());
  tensors.insert(tensors.end(), state.begin(), state.end());
  engine::load_tensors(file, tensors);
  optimizer_->set_steps(optimizer_steps);
  progress_ = progress;
  forget_pass();
}

}  // namespace unet
