// unet_train: trains a U-Net on images and labels.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include "kernels/error.h"
#include "tools/cli.h"
#include "tools/device.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "tools/spinning.h"
#include "unet/config.h"
#include "unet/deformation.h"
#include "unet/figures.h"
#include "unet/readable.h"
#include "unet/tile.h"
#include "unet/training_run.h"
#include "unet/training_set.h"

namespace unet::tools {
namespace {

struct TrainOptions {
  CommonOptions common;
  TrainingInputs inputs;
  std::vector<std::string> labels;  // path, then perhaps what the values mean
  std::string out;
  std::string preset, config_file;
  std::vector<std::string> settings;       // of --set
  std::vector<std::string> named_options;  // as settings: they override all others
  std::string initial_model;
  bool resume = false, check = false, figures = false;
};

void add_options(CLI::App& app, TrainOptions& options) {
  const auto setting = [&app, &options](const char* name, const char* key, const char* type, const char* text) {
    return app
        .add_option_function<std::string>(
            name,
            [&options, key](const std::string& value) { options.named_options.push_back(concat(key, "=", value)); },
            text)
        ->type_name(type);
  };
  app.add_option("--images", options.inputs.images, "Training images: a TIFF or PNG file, a folder or a quoted glob")
      ->required()
      ->type_name("PATH")
      ->group("Data");
  app.add_option("--labels", options.labels,
                 "Their labels; then, where detection shall not decide, what the values mean: classes or instances")
      ->required()
      ->expected(1, 2)
      ->type_name("PATH [KIND]")
      ->group("Data");
  app.add_option("--markers", options.inputs.markers,
                 "Marks of all objects, such as a cell tracker's, where some have no label: the surroundings of those "
                 "are not learned from [all objects have labels]")
      ->type_name("PATH")
      ->group("Data");
  app.add_flag_callback(
         "--labelled-only", [&options] { options.named_options.emplace_back("data.labelled_only=true"); },
         "Leave images without labels out, by their file names; otherwise they are an error")
      ->group("Data");
  setting("--ignore", "data.ignore", "VALUE", "Label value of pixels without truth [none]")->group("Data");
  setting("--background", "data.background", "VALUE",
          "Of classes, the label value of what lies between objects [the smallest]")
      ->group("Data");
  auto* images = app.add_option("--val-images", options.inputs.validation_images, "Validation images")
                     ->type_name("PATH")
                     ->group("Data");
  auto* labels = app.add_option("--val-labels", options.inputs.validation_labels, "Their labels")
                     ->type_name("PATH")
                     ->group("Data");
  app.add_option("--val-markers", options.inputs.validation_markers, "Their markers")
      ->type_name("PATH")
      ->needs(images)
      ->group("Data");
  images->needs(labels);
  labels->needs(images);
  app.add_option_function<std::string>(
         "--val-fraction",
         [&options](const std::string& share) {
           options.named_options.push_back("data.validation_fraction=" + share);
           options.named_options.push_back("data.validation_pages=");  // of a file
         },
         "Share of the pages to validate on, from the end [0.2]")
      ->type_name("SHARE")
      ->excludes(images)
      ->group("Data");
  setting("--val-pages", "data.validation_pages", "LIST",
          "Pages to validate on instead, such as 0-4,10: numbers from 0 over all pairs, as --check shows them [none]")
      ->excludes(images)
      ->excludes("--val-fraction")
      ->group("Data");

  app.add_option("--out", options.out, "Folder of the run")->required()->type_name("RUN")->group("Run");
  setting("--steps", "run.steps", "N", "Steps [as the preset]")->group("Run");
  app.add_option_function<std::string>(
         "--time-limit",
         [&options](const std::string& text) {
           options.named_options.push_back(concat("run.time_limit=", parse_duration(text)));
         },
         "End after this time: 90s, 30m, 2h [none]")
      ->type_name("TIME")
      ->group("Run");
  setting("--early-stop", "run.early_stop", "N", "End after N validations without improvement [never]")->group("Run");
  app.add_flag("--resume", options.resume, "Go on with the run in RUN, bit for bit")->group("Run");
  auto* check =
      app.add_flag("--check", options.check, "Load and validate everything, predict memory and time, train nothing")
          ->group("Run");
  app.add_flag("--figures", options.figures,
               "With --check: show what training does to these images, in RUN/figures.html")
      ->needs(check)
      ->group("Run");

  std::string presets;
  for (const std::string_view name : preset_names()) presets += concat(presets.empty() ? "" : ", ", name);
  app.add_option("--preset", options.preset, "Settings to start from: " + presets + " [paper]")
      ->type_name("NAME")
      ->group("Settings");
  app.add_option("--config", options.config_file, "TOML file with settings that override the preset")
      ->type_name("FILE")
      ->group("Settings");
  app.add_option("--set", options.settings,
                 "One setting that overrides the file, such as optimizer.lr=1e-4; repeatable")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false)
      ->group("Settings");
  app.add_option("--init", options.initial_model, "Start from these trained weights (fine-tuning)")
      ->type_name("MODEL")
      ->group("Settings");
  add_common_options(app, options.common);
  app.footer(
      "Example: two minutes on two CPU cores, with a page of curves and pictures in run/report.html\n"
      "  unet_train --images train.tif --labels labels.tif --preset tiny --time-limit 2m --out run\n"
      "then\n"
      "  unet_infer --model run/model.safetensors --input test.tif --output test_probability.tif\n\n"
      "Exit codes: 0 done, 2 usage, 3 data, 4 files, 5 memory, 6 numbers not finite, 7 checkpoint, 8 GPU or driver,\n"
      "75 stopped by a signal (go on with --resume).");
}

/// Preset, file, --set and named options in their order. A resumed run keeps its own settings.
TrainingConfig resolve_config(const TrainOptions& options) {
  ConfigSources sources{.preset = options.preset.empty() ? "paper" : options.preset};
  const std::string stored = options.out + "/config.toml";
  if (!options.config_file.empty()) {
    sources.file = options.config_file;
  } else if (options.resume && options.preset.empty() && std::filesystem::exists(stored)) {
    sources.file = stored;
  }
  sources.settings = options.settings;
  if (options.labels.size() == 2) sources.settings.push_back("data.labels=" + options.labels[1]);
  sources.settings.insert(sources.settings.end(), options.named_options.begin(), options.named_options.end());
  if (options.common.has_seed) sources.settings.push_back(concat("run.seed=", options.common.seed));
  if (options.common.threads > 0) sources.settings.push_back(concat("run.threads=", options.common.threads));
  if (!options.common.precision.empty()) sources.settings.push_back("run.precision=" + options.common.precision);
  return make_config(sources);
}

void print_pairs(const char* title, const std::vector<NumberedPair>& pairs) {
  std::cout << title << ": " << pairs.size() << (pairs.size() == 1 ? " page\n" : " pages\n");
  for (const NumberedPair& pair : pairs) {
    const InputPage &image = pair.image, &label = pair.label;
    std::cout << "  " << pair.number << ": " << image.name() << " [" << image.info.height << ',' << image.info.width
              << ',' << image.info.channels << "] " << image.info.encoding << "  <-  " << label.name() << " "
              << label.info.encoding;
    if (pair.markers) std::cout << ", markers " << pair.markers->name();
    std::cout << '\n';
  }
}

std::string tile_text(const TrainingConfig& config) {
  const int64_t output = TileRule(static_cast<int>(config.network.depth)).output(config.tile.input);
  return concat(config.tile.input, " -> ", output, " px, ", config.tile.batch, " a step");
}

/// "grid3, 7.5 px": kinds of equal parameters are not equally strong.
std::string elastic_text(const TrainingConfig& config) {
  const double rms = rms_displacement(config.augmentation, {config.tile.input, config.tile.input});
  const std::string_view kind = name_of(config.augmentation.elastic);
  return rms == 0 ? std::string(kind) : concat(kind, ", root mean square ", number_text(rms, 3), " px along each axis");
}

/// What the run would take, from three steps whose results are thrown away.
void print_prediction(Trainer& trainer) {
  std::vector<double> seconds;
  for (int i = 0; i < 3; ++i) {
    throw_if_stopped();
    seconds.push_back(trainer.step().seconds);
  }
  const double step_s = std::min(seconds[1], seconds[2]);  // the first one also chooses algorithms
  const TrainingConfig& config = trainer.config();
  double total_s = step_s * static_cast<double>(config.run.steps);
  if (config.run.time_limit > 0) total_s = std::min(total_s, config.run.time_limit);
  std::cout << "memory: " << bytes_text(trainer.network().device()->arena().peak_bytes()) << " for tensors\n"
            << "time: " << duration_text(step_s) << " a step, about " << duration_text(total_s)
            << " in all without validation\n";
}

void print_figures(const std::filesystem::path& folder, const TrainingData& data) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw IoError(concat("unet_train: cannot make ", folder.string(), ": ", error.message()));
  const std::filesystem::path path = folder / "figures.html";
  write_figures(path, data.set, data.config, data.info);
  std::cout << "figures: " << path.string() << std::endl;
}

/// Live progress and one line a validation.
class TrainingDisplay {
 public:
  TrainingDisplay(const CommonOptions& options) : quiet_(options.quiet), progress_(Progress::standard_error(quiet_)) {}

  TrainingObserver observer() {
    return {.on_step = [this](const StepRecord& record, const Trainer& trainer) { show(record, trainer); },
            .on_validation = [this](const ValidationRecord& record, const Trainer&) { show(record); },
            .on_message = [this](const std::string& message) { say(message); },
            .stop_requested = [] { return stop_signal() != 0; }};
  }

  /// How long steps waited for their samples: whether loading and augmentation keep up.
  void say_waits() {
    if (seconds_ > 0)
      say(concat("samples: ", number_text(100 * wait_seconds_ / seconds_, 2), " % of the time waited for"));
  }

  void say(const std::string& line) {
    progress_.clear();
    if (!quiet_) std::cout << line << std::endl;
  }

 private:
  void show(const StepRecord& record, const Trainer& trainer) {
    const double images_a_second = static_cast<double>(trainer.config().tile.batch) / std::max(record.seconds, 1e-9);
    std::string text =
        concat("step ", number_text(static_cast<double>(record.step + 1), 15), "  loss ", number_text(record.loss, 3),
               validation_, "  ", number_text(images_a_second, 2), " images/s");
    if (record.skipped) text += "  (skipped: not finite)";
    progress_.update(trainer.fraction_done(), text);
    seconds_ += record.seconds;
    wait_seconds_ += record.wait_seconds;
    if (++steps_ == kStepsToFullMemory) {
      say(concat("memory: ", bytes_text(trainer.network().device()->arena().peak_bytes()), " for tensors"));
    }
  }

  void show(const ValidationRecord& record) {
    std::string line = concat("step ", number_text(static_cast<double>(record.step), 15), "  validation loss ",
                              number_text(record.loss));
    for (const auto& [name, value] : record.metrics) line += concat("  ", name, ' ', number_text(value));
    say(line + (record.best ? "  best, saved" : ""));
    validation_ = "  val ";
    validation_ += record.metrics.empty() ? "loss " + number_text(record.loss, 3)
                                          : record.metrics[0].first + ' ' + number_text(record.metrics[0].second, 3);
  }

  static constexpr int64_t kStepsToFullMemory = 3;  // the first is direct, the second is captured

  bool quiet_;
  int64_t steps_ = 0;  // of this session
  double seconds_ = 0, wait_seconds_ = 0;
  Progress progress_;
  std::string validation_;  // last value, for the bar
};

int train(TrainOptions& options) {
  catch_stop_signals();
  options.inputs.labels = options.labels[0];
  const TrainingConfig wanted = resolve_config(options);
  const bool talk = !options.common.quiet;

  TrainingData data = load_training_data(options.inputs, wanted);
  const TrainingConfig config = data.config;
  if (options.check || (talk && options.common.verbose)) {
    print_pairs("training", data.training_pairs);
    print_pairs("validation", data.validation_pairs);
  }
  if (options.check || talk) {
    if (data.left_out > 0) std::cout << "left out: " << data.left_out << " images without labels\n";
    std::cout << data.labels.describe() << '\n';
    if (data.markers) std::cout << data.markers->describe() << '\n';
    std::cout << "tile: " << tile_text(config) << "\nelastic deformation: " << elastic_text(config) << "\n\n"
              << to_toml(config) << '\n';
  }

  if (options.figures) print_figures(options.out, data);

  const auto [device, device_text] =
      choose_device(options.common.device,
                    {.threads = static_cast<int>(config.run.threads), .tf32 = config.run.precision == Precision::tf32});
  if (talk) std::cout << "device: " << device_text << std::endl;
  Trainer trainer(device, config, std::move(data.set), data.info);
  if (!options.initial_model.empty()) {
    load_initial_weights(options.initial_model, trainer.network(), trainer.info());
  }
  if (options.check) {
    print_prediction(trainer);
    return kDone;
  }

  TrainingDisplay display(options.common);
  const TrainingEnd end = run_training(
      trainer, {.folder = options.out, .resume = options.resume, .version = UNET_VERSION, .exit_code = exit_code_of},
      display.observer());
  display.say_waits();
  switch (end) {
    case TrainingEnd::stopped:
      display.say("stopped by a signal; go on with --resume");
      return kStopped;
    case TrainingEnd::time_limit:
      display.say("time limit reached");
      break;
    case TrainingEnd::early_stop:
      display.say("no improvement any more");
      break;
    case TrainingEnd::finished:
      break;
  }
  display.say(concat("model: ", options.out, "/model.safetensors   report: ", options.out, "/report.html"));
  return kDone;
}

}  // namespace
}  // namespace unet::tools

int main(int argc, char** argv) {
  using namespace unet::tools;
  bound_spinning(argv);
  CLI::App app("Trains a U-Net for image segmentation.", "unet_train");
  TrainOptions options;
  add_options(app, options);
  return run_program(app, argc, argv, [&] { return train(options); });
}
