// unet_infer: segments images with a trained model.
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <map>
#include <optional>
#include <set>

#include "kernels/error.h"
#include "tools/cli.h"
#include "tools/device.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "tools/spinning.h"
#include "unet/inputs.h"
#include "unet/model_library.h"
#include "unet/readable.h"
#include "unet/segmentation.h"

namespace unet::tools {
namespace {

namespace fs = std::filesystem;

struct InferOptions {
  CommonOptions common;
  std::string model, input, pages, output;
  std::vector<std::string> write{"probability"};
  std::string averaging = "none", average_of = "scores";
  std::string scale = "1";
  std::string tile = "auto";
  std::string max_memory;
  bool exact = false;
  int probability_bits = 32;
  std::optional<int> connectivity{};
  std::optional<int64_t> min_area{};
  std::optional<double> threshold{}, split{};
  std::optional<bool> fill_holes{}, regrow{};
  SegmentationOptions segmentation;
};

/// Where models that come with the program lie.
fs::path own_models() {
  const char* chosen = std::getenv("UNET_MODELS");
  return model_folder(fs::read_symlink("/proc/self/exe"), chosen != nullptr ? chosen : "");
}

void list_models() {
  const fs::path folder = own_models();
  const std::vector<LibraryModel> models = library_models(folder);
  std::cout << models.size() << (models.size() == 1 ? " model in " : " models in ") << folder.string() << '\n';
  for (const LibraryModel& model : models) {
    std::cout << '\n' << model.name << '\n';
    if (model.card.empty()) std::cout << "  no model card\n";
    for (const char* fact : {"for", "not for", "data", "licence", "scores"}) {
      if (const auto found = model.card.find(fact); found != model.card.end()) {
        std::cout << "  " << std::left << std::setw(12) << fact << found->second << '\n';
      }
    }
  }
}

/// --NAME and --no-NAME; without either the value stays empty, and the model decides.
void add_switch(CLI::App& app, const std::string& name, std::optional<bool>& value, const std::string& description) {
  app.add_flag_function(
         concat("--", name, ",!--no-", name), [&value](int64_t count) { value = count > 0; },
         description + " [the model's]")
      ->group("Results");
}

void add_options(CLI::App& app, InferOptions& options) {
  app.add_option("--model", options.model,
                 "Model that unet_train wrote, or the name of one that comes with this program, see --list-models")
      ->required()
      ->type_name("FILE|NAME")
      ->group("Files");
  app.add_option("--input", options.input, "Images: a TIFF or PNG file, a folder or a quoted glob")
      ->required()
      ->type_name("PATH")
      ->group("Files");
  app.add_option("--pages", options.pages, "Segment these pages only, such as 0-4,10; counted over all files [all]")
      ->type_name("LIST")
      ->group("Files");
  app.add_option(
         "--output", options.output,
         "Result file with its extension, for one input and one kind of result; or a folder for NAME_probability.tif, "
         "NAME_classes.tif, NAME_instances.tif, NAME_overlay.png, NAME_objects.csv and NAME_rois.zip")
      ->required()
      ->type_name("PATH")
      ->group("Files");
  app.add_option("--write", options.write,
                 "Results, with commas: probability, classes, instances, overlay, objects (table), rois (for ImageJ)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"probability", "classes", "instances", "overlay", "objects", "rois"}).description(""))
      ->type_name("KIND,...")
      ->default_str("probability")
      ->group("Results");
  app.add_option("--probability-bits", options.probability_bits,
                 "Store probabilities as 32-bit floats, or as integers from 0 to 255 (8) or 65535 (16)")
      ->check(CLI::IsMember({8, 16, 32}).description(""))
      ->type_name("8|16|32")
      ->capture_default_str()
      ->group("Results");
  app.add_option("--threshold", options.threshold,
                 "Two classes: probability of the last one from which a pixel belongs to it [the model's]")
      ->check(CLI::Range(0.0, 1.0).description(""))
      ->type_name("0..1")
      ->group("Results");
  app.add_option("--min-area", options.min_area, "Leave out smaller instances [the model's]")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("PX")
      ->group("Results");
  app.add_option("--connectivity", options.connectivity, "Neighbours that join pixels to an instance [the model's]")
      ->check(CLI::IsMember({4, 8}).description(""))
      ->type_name("4|8")
      ->group("Results");
  add_switch(app, "fill-holes", options.fill_holes,
             "Fill background that one class encloses, before instances are found");
  app.add_option("--split", options.split,
                 "Divide instances whose parts are connected only below this probability; 0: never [the model's]")
      ->check(CLI::Range(0.0, 1.0).description(""))
      ->type_name("0..1")
      ->group("Results");
  add_switch(app, "regrow", options.regrow,
             "Give instances back the border that training took from between them; never merges any");
  app.add_option("--scale", options.scale,
                 "Enlarge images by a factor for the network, beyond what training did, and results back; auto: to the "
                 "pixel size of training")
      ->type_name("auto|FACTOR")
      ->capture_default_str()
      ->group("Computing");
  app.add_option("--tta", options.averaging,
                 "Average over flipped (flips: 4), flipped and turned (d4: 8) versions of each tile, or over seven "
                 "rotations of the image (rot7)")
      ->check(CLI::IsMember({"none", "flips", "d4", "rot7"}).description(""))
      ->type_name("none|flips|d4|rot7")
      ->capture_default_str()
      ->group("Computing");
  app.add_option("--tta-average", options.average_of, "What --tta averages: scores before softmax, or probabilities")
      ->check(CLI::IsMember({"scores", "probabilities"}).description(""))
      ->type_name("scores|probabilities")
      ->capture_default_str()
      ->group("Computing");
  app.add_option("--batch", options.segmentation.inference.batch,
                 "Tiles in one pass of the network; the memory for tiles is that of all of them")
      ->check(CLI::Range(int64_t{1}, int64_t{1024}).description(""))
      ->type_name("N")
      ->capture_default_str()
      ->group("Computing");
  app.add_option("--tile", options.tile, "Side of the input tiles; auto: the fastest one that fits into memory")
      ->type_name("auto|PX")
      ->capture_default_str()
      ->group("Computing");
  app.add_option("--max-memory", options.max_memory, "Memory to use, such as 4GiB [half of the machine's]")
      ->type_name("SIZE")
      ->group("Computing");
  app.add_flag("--exact", options.exact, "Results that do not depend on tiles, bit for bit; slower")
      ->group("Computing");
  add_common_options(app, options.common);
  app.add_flag_callback(
         "--list-models",
         [] {
           list_models();
           throw CLI::Success();
         },
         "Print the models that come with this program: data, licence, scores; UNET_MODELS names another folder")
      ->group("Program");
  app.footer(
      "Example: cells of all pages, as a label image and a table, averaged over eight symmetries\n"
      "  unet_infer --model run/model.safetensors --input stack.tif --output results --write instances,objects --tta "
      "d4\n\n"
      "Exit codes: 0 done, 2 usage, 3 data (the other images of a folder are still done), 4 files, 5 memory, 7 model,\n"
      "8 GPU or driver, 130 or 143 stopped by a signal (finished files stay).");
}

int64_t parse_tile(const std::string& text) {
  if (text == "auto") return 0;
  int64_t side = 0;
  if (!CLI::detail::lexical_cast(text, side) || side < 1) {
    throw ConfigError(concat("--tile: expected auto or a side in px, got ", text));
  }
  return side;
}

/// 0 for auto.
double parse_scale(const std::string& text) {
  if (text == "auto") return 0;
  double factor = 0;
  if (!CLI::detail::lexical_cast(text, factor) || !(factor >= 0.01 && factor <= 100)) {
    throw ConfigError(concat("--scale: expected auto or a factor of 0.01 to 100, got ", text));
  }
  return factor;
}

SegmentationOptions resolve(const InferOptions& options) {
  SegmentationOptions resolved = options.segmentation;
  resolved.outputs.clear();
  for (const std::string& kind : options.write) resolved.outputs.push_back(parse_enum<Output>("--write", kind));
  if (!options.max_memory.empty()) {
    resolved.max_memory_bytes = parse_bytes(options.max_memory);
    if (resolved.max_memory_bytes == 0) throw ConfigError("--max-memory: expected more than 0");
  }
  if (options.probability_bits < 32) resolved.probability_type.kind = SampleKind::unsigned_integer;
  resolved.probability_type.bits = options.probability_bits;
  const int64_t side = parse_tile(options.tile);
  resolved.inference.tile = {side, side};
  resolved.inference.precision = options.common.precision == "bf16" ? DType::bf16 : DType::f32;
  resolved.inference.averaging = parse_enum<Averaging>("--tta", options.averaging);
  resolved.inference.average_of = parse_enum<AverageOf>("--tta-average", options.average_of);
  resolved.scale = parse_scale(options.scale);
  return resolved;
}

/// How the model makes instances, but for what the user decides.
InstanceOptions instance_options(const InferOptions& options, const Model& model) {
  InstanceOptions chosen = model.info.instances;
  if (options.connectivity) chosen.connectivity = static_cast<Connectivity>(*options.connectivity);
  chosen.min_area_px = options.min_area.value_or(chosen.min_area_px);
  chosen.fill_holes = options.fill_holes.value_or(chosen.fill_holes);
  chosen.split = options.split.value_or(chosen.split);
  chosen.regrow = options.regrow.value_or(chosen.regrow);
  return chosen;
}

std::string text_of(const InstanceOptions& instances, double threshold) {
  return concat("instances: probability from ", threshold, ", ", static_cast<int>(instances.connectivity),
                "-connected, at least ", std::max<int64_t>(instances.min_area_px, 1), " px",
                instances.fill_holes ? ", holes filled" : "",
                instances.split > 0 ? concat(", split below ", instances.split) : "",
                instances.regrow ? ", regrown" : "");
}

/// An input file, its pages to segment (none: all), and the result files.
struct Job {
  fs::path input;
  std::vector<int64_t> pages{};
  std::vector<fs::path> results{};
};

/// The files that --input names, or those in which --pages chooses pages.
std::vector<Job> list_jobs(const InferOptions& options) {
  std::vector<Job> jobs;
  if (options.pages.empty()) {
    for (const fs::path& input : list_image_files(options.input)) jobs.push_back({input});
    return jobs;
  }
  for (const InputPage& chosen : choose_pages(list_pages(options.input), options.pages)) {
    if (jobs.empty() || jobs.back().input != chosen.file) jobs.push_back({chosen.file});
    jobs.back().pages.push_back(chosen.page);
  }
  return jobs;
}

/// Names the result files of each job and makes their folder. Throws ConfigError where two jobs would write the same
/// file.
void name_results(std::vector<Job>& jobs, const InferOptions& options, const std::vector<Output>& outputs) {
  const fs::path target = options.output;
  const bool is_folder = !target.has_extension() || fs::is_directory(target);
  if (jobs.size() == 1 && outputs.size() == 1 && !is_folder) {
    const fs::path extension = output_path("", jobs[0].input, outputs[0]).extension();
    if (target.extension() != extension && !(extension == ".tif" && target.extension() == ".tiff")) {
      throw ConfigError(concat("--output: expected a name that ends in ", extension.string(), ", which ",
                               name_of(outputs[0]), " is written as, or a folder, got ", options.output));
    }
    jobs[0].results = {target};
    return;
  }
  std::map<fs::path, fs::path> taken;  // result -> input
  for (Job& job : jobs) {
    for (const Output output : outputs) {
      const fs::path file = output_path(options.output, job.input, output);
      const auto [other, is_new] = taken.emplace(file, job.input);
      if (!is_new) {
        throw ConfigError(concat("--output: ", other->second.string(), " and ", job.input.string(),
                                 " would both write ", file.string(), "; segment them separately"));
      }
      job.results.push_back(file);
    }
  }
  std::error_code error;
  fs::create_directories(options.output, error);
  if (error) throw IoError(concat("--output: cannot make folder ", options.output, ": ", error.message()));
}

/// Throws ConfigError where a result would replace an input.
void keep_inputs(const std::vector<Job>& jobs) {
  std::set<fs::path> originals;
  for (const Job& job : jobs) originals.insert(fs::weakly_canonical(job.input));
  for (const Job& job : jobs) {
    for (const fs::path& file : job.results) {
      if (originals.contains(fs::weakly_canonical(file))) {
        throw ConfigError(
            concat("--output: ", file.string(), " is an input and would be replaced; choose another name"));
      }
    }
  }
}

int infer(const InferOptions& options) {
  catch_stop_signals();
  Progress progress(Progress::standard_error(options.common.quiet));
  SegmentationOptions segmentation = resolve(options);
  segmentation.inference.on_message = [&](const std::string& message) {
    progress.clear();
    if (!options.common.quiet) std::cout << message << std::endl;
  };
  std::vector<Job> jobs = list_jobs(options);
  name_results(jobs, options, segmentation.outputs);
  keep_inputs(jobs);

  const auto [device, device_text] =
      choose_device(options.common.device,
                    {.threads = options.common.threads,
                     .convolution = options.exact ? kernels::ConvolutionMode::direct : kernels::ConvolutionMode::fast,
                     .tf32 = options.common.precision == "tf32"});
  const Model model = load_model(find_model(options.model, own_models()), device);
  segmentation.threshold = options.threshold.value_or(model.info.threshold);
  segmentation.instances = instance_options(options, model);
  if (!options.common.quiet) {
    std::cout << "device: " << device_text << std::endl;
    if (makes_instances(segmentation.outputs))
      std::cout << text_of(segmentation.instances, segmentation.threshold) << std::endl;
  }

  int refused = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = jobs[i];
    segmentation.pages = job.pages;
    const auto show = [&](int64_t done, int64_t total) {
      throw_if_stopped();
      const double part = static_cast<double>(done) / static_cast<double>(std::max<int64_t>(total, 1));
      progress.update((static_cast<double>(i) + part) / static_cast<double>(jobs.size()),
                      concat(job.input.filename().string(), "  tile ", done, " of ", total));
    };
    try {
      throw_if_stopped();
      segment_file(model, job.input, job.results, segmentation, show);
    } catch (const DataError& error) {
      if (jobs.size() == 1) throw;
      ++refused;
      progress.clear();
      std::cerr << "unet_infer: skipped: " << error.what() << std::endl;
      continue;
    }
    progress.clear();
    if (options.common.quiet) continue;
    for (const fs::path& file : job.results) std::cout << file.string() << std::endl;
  }
  if (refused > 0) throw DataError(concat(refused, " of ", jobs.size(), " images were skipped"));
  return kDone;
}

}  // namespace
}  // namespace unet::tools

int main(int argc, char** argv) {
  using namespace unet::tools;
  bound_spinning(argv);
  CLI::App app("Segments images with a trained U-Net.", "unet_infer");
  InferOptions options;
  add_options(app, options);
  return run_program(app, argc, argv, [&] { return infer(options); });
}
