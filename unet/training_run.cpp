#include "unet/training_run.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "engine/atomic_file.h"
#include "unet/output_file.h"
#include "unet/picture.h"
#include "unet/png_io.h"
#include "unet/report.h"
#include "unet/tensorboard.h"
#include "unet/tile.h"

namespace unet {
namespace {

namespace fs = std::filesystem;

constexpr size_t kCheckpointsKept = 3;
constexpr double kReportInterval_s = 20;
constexpr size_t kPagesShown = 3;

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

fs::path checkpoint_path(const fs::path& folder, int64_t step) {
  std::string digits = std::to_string(step);
  digits.insert(0, 10 - std::min<size_t>(10, digits.size()), '0');
  return folder / ("ckpt-" + digits + ".safetensors");
}

/// Checkpoints of a folder, newest first.
std::vector<fs::path> checkpoints(const fs::path& folder) {
  std::vector<fs::path> list;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("ckpt-") && name.ends_with(".safetensors")) list.push_back(entry.path());
  }
  std::sort(list.rbegin(), list.rend());
  return list;
}

/// Keeps other processes out of a run's folder as long as it lives, and no longer than its process.
class FolderLock {
 public:
  FolderLock() = default;
  ~FolderLock() {
    if (file_ >= 0) close(file_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  void take(const fs::path& folder) {
    const fs::path path = folder / "run.lock";
    file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file_ < 0) throw IoError(concat("training: cannot make ", path.string(), ": ", std::strerror(errno)));
    if (flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      throw ConfigError(
          concat("training: ", folder.string(), " is in use by another process; wait for it, or give another folder"));
    }
  }

 private:
  int file_ = -1;
};

std::string device_text(const engine::Device& device) {
  const std::string target = kernels::name_of(device.target());
  return device.uses_host_memory() ? target : concat(target, ", ", device.state().info().name);
}

PagePicture picture(std::string caption, const Picture& rgb) { return {std::move(caption), encode_png(rgb)}; }

/// The pictures that do not change during a run: what the network is fed.
std::vector<Gallery> input_galleries(const Trainer& trainer) {
  const TrainingSet& set = trainer.set();
  const TrainingPage& page = set.training.front();
  float top = 0;
  for (const float w : page.weights.data) top = std::max(top, w);
  Gallery weights{"Weight map",
                  "What a wrong pixel costs: dark is little, yellow is much. Gaps between objects weigh most.",
                  {picture(page.name, gray_picture(page.image)),
                   picture(concat("weights 0 to ", top), heat_picture(page.weights, top))}};
  Gallery samples{"Augmented samples",
                  "The first training tiles as the network sees them: deformed, rotated, shifted, with other gray "
                  "values. The labels cover the centre of the tile.",
                  {}};
  for (int64_t i = 0; i < 4; ++i) {
    const Sample sample = draw_sample(set.training, trainer.config(), i);
    samples.pictures.push_back(picture(concat("sample ", i), gray_picture(sample.image, -0.5F, 0.5F)));
    Image truth(sample.labels.height, sample.labels.width);
    std::copy(sample.labels.data.begin(), sample.labels.data.end(), truth.data.begin());
    samples.pictures.push_back(picture(
        concat("labels ", i), gray_picture(truth, -1, static_cast<float>(trainer.config().network.classes - 1))));
  }
  return {std::move(weights), std::move(samples)};
}

/// The folder of a run and what goes into it.
class RunFolder {
 public:
  RunFolder(Trainer& trainer, const TrainingRunOptions& options, const TrainingObserver& observer)
      : trainer_(trainer), options_(options), observer_(observer), checkpoints_(options.folder / "checkpoints") {}

  /// Makes or opens the folder, and loads the newest usable checkpoint when resuming.
  void open() {
    const fs::path log = options_.folder / "log.jsonl";
    if (!options_.resume && fs::exists(log)) {
      throw ConfigError(concat("training: ", options_.folder.string(),
                               " holds a run already; go on with --resume, or give another folder"));
    }
    if (options_.resume && !fs::exists(log)) {
      throw ConfigError(concat("training: ", options_.folder.string(),
                               " holds no run to go on with; start one without --resume, or give the run's folder"));
    }
    std::error_code error;
    fs::create_directories(checkpoints_, error);
    if (error) throw IoError(concat("training: cannot make ", checkpoints_.string(), ": ", error.message()));
    lock_.take(options_.folder);
    engine::remove_abandoned_files(options_.folder);
    engine::remove_abandoned_files(checkpoints_);
    if (options_.resume) load_newest();
    write_file(options_.folder / "config.toml", to_toml(trainer_.config()));

    log_ = std::make_unique<TrainingLog>(log);
    log_->write(SessionRecord{.version = options_.version,
                              .configuration = to_toml(trainer_.config()),
                              .seed = trainer_.config().run.seed,
                              .threads = trainer_.network().device()->context().threads,
                              .device = device_text(*trainer_.network().device()),
                              .first_step = trainer_.steps_done(),
                              .started = utc_time_text()});
    tensorboard_ = std::make_unique<TensorBoardWriter>(options_.folder, trainer_.steps_done());
    inputs_ = input_galleries(trainer_);
    write_page();
  }

  void add(const StepRecord& record) {
    log_->write(record);
    tensorboard_->write(record.step, {{"loss/train", record.loss},
                                      {"learning_rate", record.learning_rate},
                                      {"gradient_norm", record.gradient_norm}});
    if (now_s() - page_written_ > kReportInterval_s) write_page();
  }

  /// Validates, and keeps the model where it is the best so far.
  void validate() {
    Gallery gallery{"Validation pages",
                    "Outlines: what the network sees as objects. Red: an object claimed where there is none; blue: "
                    "one missed. Below each, the probability of the last class.",
                    {}};
    const ValidationRecord record = trainer_.validate([&](const TrainingPage& page, const Image& p) {
      if (gallery.pictures.size() >= 2 * kPagesShown) return;
      gallery.pictures.push_back(picture(page.name, overlay_picture(page.image, most_probable(p), &page.classes)));
      Image last(p.height, p.width);
      for (int64_t i = 0; i < last.pixels(); ++i) {
        last.data[static_cast<size_t>(i)] = p.data[static_cast<size_t>((i + 1) * p.channels - 1)];
      }
      gallery.pictures.push_back(picture("probability", gray_picture(last)));
    });
    predictions_ = {std::move(gallery)};
    if (record.best) save_model(model_path(), trainer_.network(), trainer_.info());
    log_->write(record);
    std::vector<std::pair<std::string, double>> scalars{{"loss/validation", record.loss}};
    for (const auto& [name, value] : record.metrics) scalars.emplace_back("validation/" + name, value);
    tensorboard_->write(record.step, scalars);
    write_page();
    if (observer_.on_validation) observer_.on_validation(record, trainer_);
  }

  void save() {
    trainer_.save_checkpoint(checkpoint_path(checkpoints_, trainer_.steps_done()));
    if (trainer_.set().validation.empty()) save_model(model_path(), trainer_.network(), trainer_.info());
    const std::vector<fs::path> all = checkpoints(checkpoints_);
    for (size_t i = kCheckpointsKept; i < all.size(); ++i) {
      std::error_code ignored;
      fs::remove(all[i], ignored);
    }
  }

  /// What is left to the user after a failure.
  std::string way_to_go_on() const {
    const std::vector<fs::path> all = checkpoints(checkpoints_);
    return all.empty() ? "there is no checkpoint yet"
                       : concat("the last checkpoint is ", all[0].string(), ": --resume");
  }

  void end(const std::string& reason, int exit_code) {
    log_->write(EndRecord{reason, exit_code});
    write_page();
  }

  /// Notes an error as the end. What goes wrong here too must not hide it.
  void end_with_error(const std::exception& error) noexcept {
    try {
      end(error.what(), options_.exit_code ? options_.exit_code(error) : 1);
    } catch (const std::exception&) {
      return;
    }
  }

 private:
  fs::path model_path() const { return options_.folder / "model.safetensors"; }
  void tell(const std::string& message) const {
    if (observer_.on_message) observer_.on_message(message);
  }

  void load_newest() {
    const std::vector<fs::path> all = checkpoints(checkpoints_);
    for (const fs::path& path : all) {
      try {
        trainer_.load_checkpoint(path);
        tell(concat("going on from ", path.string()));
        return;
      } catch (const CheckpointError& e) {
        tell(concat("cannot use ", path.string(), ": ", e.what()));
      }
    }
    if (all.empty()) {
      tell(concat("no checkpoint in ", checkpoints_.string(), ": starting from the beginning"));
      return;
    }
    throw CheckpointError(concat("training: none of the ", all.size(), " checkpoints in ", checkpoints_.string(),
                                 " can be used; train into another folder"));
  }

  /// The report is a convenience: where it cannot be written the run goes on, and the user is told once.
  void write_page() {
    page_written_ = now_s();
    try {
      render_page();
    } catch (const Error& e) {
      if (!page_failed_) tell(concat("the report cannot be written: ", e.what()));
      page_failed_ = true;
    }
  }

  void render_page() {
    const TrainingConfig& config = trainer_.config();
    const TrainingPage& page = trainer_.set().training.front();
    Report report{
        .name = options_.folder.filename().string(),
        .history = read_training_log(options_.folder / "log.jsonl"),
        .steps = config.run.steps,
        .facts = {{"training pages", concat(trainer_.set().training.size(), ", the first of ", page.image.height, " x ",
                                            page.image.width, " px")},
                  {"validation pages", std::to_string(trainer_.set().validation.size())},
                  {"parameters", std::to_string(engine::count_elements(trainer_.network().parameters()))},
                  {"tile", concat(config.tile.input, " -> ",
                                  TileRule(static_cast<int>(config.network.depth)).output(config.tile.input), " px")}},
        .galleries = predictions_};
    report.galleries.insert(report.galleries.end(), inputs_.begin(), inputs_.end());
    write_report(options_.folder / "report.html", report);
  }

  Trainer& trainer_;
  const TrainingRunOptions& options_;
  const TrainingObserver& observer_;
  fs::path checkpoints_;
  std::unique_ptr<TrainingLog> log_;
  std::unique_ptr<TensorBoardWriter> tensorboard_;
  std::vector<Gallery> inputs_, predictions_;
  double page_written_ = 0;
  bool page_failed_ = false;
  FolderLock lock_;
};

}  // namespace

TrainingEnd run_training(Trainer& trainer, const TrainingRunOptions& options, const TrainingObserver& observer) {
  RunFolder folder(trainer, options, observer);
  folder.open();
  const RunConfig& run = trainer.config().run;
  const bool can_validate = !trainer.set().validation.empty();
  int64_t validated = -1;
  try {
    while (!trainer.finished()) {
      if (observer.stop_requested && observer.stop_requested()) {
        folder.save();
        folder.end("stopped by a signal", 75);
        return TrainingEnd::stopped;
      }
      const StepRecord record = trainer.step();
      folder.add(record);
      if (observer.on_step) observer.on_step(record, trainer);
      if (can_validate && trainer.steps_done() % run.validation_interval == 0) {
        folder.validate();
        validated = trainer.steps_done();
      }
      if (trainer.steps_done() % run.checkpoint_interval == 0) folder.save();
      if (run.early_stop > 0 && trainer.validations_without_improvement() >= run.early_stop) {
        folder.save();
        folder.end(concat("no improvement in ", run.early_stop, " validations"), 0);
        return TrainingEnd::early_stop;
      }
    }
    if (can_validate && validated != trainer.steps_done()) folder.validate();
    folder.save();
    const bool all_steps = trainer.steps_done() >= run.steps;
    folder.end(all_steps ? "all steps done" : "time limit", 0);
    return all_steps ? TrainingEnd::finished : TrainingEnd::time_limit;
  } catch (const DeviceError& e) {
    const DeviceError advised(concat(e.what(), "; ", folder.way_to_go_on()));
    folder.end_with_error(advised);
    throw advised;
  } catch (const std::exception& e) {
    folder.end_with_error(e);
    throw;
  }
}

}  // namespace unet
