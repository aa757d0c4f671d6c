// Compares the U-Net with the two networks before it, a sliding window and an FCN with additive skips: trains each for
// the same time on the same samples, then segments the validation pages whole. A table on standard output, all figures
// as JSON.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "benchmarks/baselines/method.h"
#include "unet/isbi2012.h"
#include "unet/output_file.h"
#include "unet/png_io.h"
#include "unet/readable.h"
#include "unet/training_set.h"

namespace {

using namespace unet;
using namespace unet::baselines;

struct Settings {
  TrainingInputs inputs;
  std::string validation_pages, preset = "tiny", time_limit = "4m", json_path, picture_path;
  std::vector<std::string> settings, methods{"unet", "fcn", "patches"};
  int64_t steps = 0, seed = 1, patch_maps = 16, published_rows = 4;
  int threads = 0;
  PatchBatches batches;
};

/// What one method cost and reached.
struct Result {
  std::string name;
  int64_t parameters = 0;
  double multiply_adds_per_pixel = 0, gflop_per_cpu_s = 0;
  Duration page;                           // median over the pages
  std::optional<TrainingCost> training{};  // of methods, as the scores
  std::optional<Isbi2012::Scores> scores{};
  std::optional<float> largest_difference{};  // of variants, from the method's probabilities
};

TrainingData load(const Settings& s) {
  TrainingConfig config = make_config({.preset = s.preset, .settings = s.settings});
  config.run.seed = s.seed;
  config.data.validation_pages = s.validation_pages;
  TrainingData data = load_training_data(s.inputs, config);
  if (data.set.validation.empty()) throw ConfigError("expected pages to validate on, got none; give --val-pages");
  if (data.config.network.classes != 2) {
    throw DataError(concat("expected labels of two classes, membrane and cell, got ", data.config.network.classes));
  }
  for (const TrainingPage& page : data.set.validation) {
    if (std::ranges::any_of(page.instances.data, [](int32_t id) { return id < 0; })) {
      throw DataError(concat(page.name, ": expected truth at every pixel to validate on, got ignored pixels"));
    }
  }
  return data;
}

/// Values as the network is fed with them.
Image centred(const TrainingPage& page) {
  Image image = page.image;
  for (float& v : image.data) v -= page.centre;
  return image;
}

Rect whole(const Image& image) { return {0, 0, image.height, image.width}; }

Image probability_of_last_class(const Image& probabilities) {
  Image last(probabilities.height, probabilities.width);
  const auto classes = static_cast<size_t>(probabilities.channels);
  for (size_t i = 0; i < last.data.size(); ++i) last.data[i] = probabilities.data[(i + 1) * classes - 1];
  return last;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

using SeeProbabilities = std::function<void(size_t page, const Image& of_last_class)>;

/// Segments the pages and tells what that cost.
Result measure(const Method& method, std::span<const TrainingPage> pages, const SeeProbabilities& see) {
  std::vector<double> wall, cpu, rate;
  for (size_t i = 0; i < pages.size(); ++i) {
    const Image image = centred(pages[i]);
    const Stopwatch watch;
    const Image p = method.segment(image, whole(image));
    const Duration time = watch.elapsed();
    wall.push_back(time.wall_s);
    cpu.push_back(time.cpu_s);
    rate.push_back(2e-9 * method.multiply_adds(whole(image)) / time.cpu_s);
    see(i, probability_of_last_class(p));
  }
  const Rect page = whole(pages.front().image);
  return {.name = method.name,
          .parameters = engine::count_elements(method.parameters),
          .multiply_adds_per_pixel = method.multiply_adds(page) / static_cast<double>(page.height * page.width),
          .gflop_per_cpu_s = median(rate),
          .page = {.wall_s = median(wall), .cpu_s = median(cpu)}};
}

/// Trains a method and appends what it cost and reached on the validation pages, and what its variants cost on the
/// first of them. Returns the first page's probabilities.
Image train_and_measure(const Method& method, const TrainingData& data, const Settings& s,
                        std::vector<Result>& results) {
  std::cerr << method.name << ": training\n";
  const double cpu_limit_s = s.time_limit == "0" ? 0 : parse_duration(s.time_limit);
  const TrainingCost training = train(method, data.set.training, data.config, s.steps, cpu_limit_s);
  std::cerr << method.name << ": " << training.steps << " steps, loss " << number_text(training.loss)
            << "; segmenting\n";

  const std::span<const TrainingPage> pages = data.set.validation;
  Isbi2012 scores;
  std::vector<Image> probabilities;
  Result result = measure(method, pages, [&](size_t i, const Image& p) {
    scores.add(p, pages[i].instances);
    probabilities.push_back(p);
  });
  result.training = training;
  result.scores = scores.scores();
  results.push_back(std::move(result));

  for (const Method& variant : method.variants) {
    float largest = 0;
    Result cost = measure(variant, pages.first(1), [&](size_t i, const Image& p) {
      for (size_t k = 0; k < p.data.size(); ++k) {
        largest = std::max(largest, std::abs(p.data[k] - probabilities[i].data[k]));
      }
    });
    cost.largest_difference = largest;
    results.push_back(std::move(cost));
  }
  return probabilities.front();
}

/// The network of Ciresan et al. in its full size, untrained: what a page costs, from some rows of one.
nlohmann::ordered_json time_published(const std::shared_ptr<engine::Device>& device, const TrainingData& data,
                                      const Settings& s) {
  const Method method = patch_method(device, data.config, {}, s.batches).variants.front();
  const Image image = centred(data.set.validation.front());
  const Rect part{image.height / 2, 0, std::min(s.published_rows, image.height - image.height / 2), image.width};
  method.segment(image, {part.y, 0, 1, std::min(image.width, s.batches.inference)});  // warm-up
  const Stopwatch watch;
  method.segment(image, part);
  const Duration time = watch.elapsed();
  const double share = static_cast<double>(part.height) / static_cast<double>(image.height);
  return {{"name", method.name},
          {"parameters", engine::count_elements(method.parameters)},
          {"multiply_adds_per_pixel", method.multiply_adds(part) / static_cast<double>(part.height * part.width)},
          {"rows_measured", part.height},
          {"rows_of_page", image.height},
          {"page_wall_s", time.wall_s / share},
          {"page_cpu_s", time.cpu_s / share},
          {"gflop_per_cpu_s", 2e-9 * method.multiply_adds(part) / time.cpu_s}};
}

nlohmann::ordered_json to_json(const Result& r) {
  nlohmann::ordered_json json{{"name", r.name},
                              {"parameters", r.parameters},
                              {"multiply_adds_per_pixel", r.multiply_adds_per_pixel},
                              {"page_wall_s", r.page.wall_s},
                              {"page_cpu_s", r.page.cpu_s},
                              {"gflop_per_cpu_s", r.gflop_per_cpu_s}};
  if (r.training) {
    json["steps"] = r.training->steps;
    json["training_wall_s"] = r.training->time.wall_s;
    json["training_cpu_s"] = r.training->time.cpu_s;
    json["training_loss"] = r.training->loss;
  }
  if (r.scores) {
    json["pixel_error"] = r.scores->pixel_error.value;
    json["rand_error"] = r.scores->rand_error.value;
    json["warping_error"] = r.scores->warping_error.value;
    json["v_rand"] = r.scores->v_rand.value;
    json["v_info"] = r.scores->v_info.value;
  }
  if (r.largest_difference) json["largest_difference"] = *r.largest_difference;
  return json;
}

void print_table(const std::vector<Result>& results) {
  std::cout
      << "| | parameters | MAC per pixel | page, CPU s | page, times the first | GFLOP/s | steps | training, CPU s |"
         " pixel error | V_rand | V_info |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const Result& r : results) {
    std::cout << "| " << r.name;
    const auto cell = [](double value, int digits) { std::cout << " | " << number_text(value, digits); };
    cell(static_cast<double>(r.parameters), 12);
    cell(r.multiply_adds_per_pixel, 3);
    cell(r.page.cpu_s, 3);
    cell(r.page.cpu_s / results.front().page.cpu_s, 3);
    cell(r.gflop_per_cpu_s, 3);
    if (r.training) {
      cell(static_cast<double>(r.training->steps), 12);
      cell(r.training->time.cpu_s, 3);
    }
    if (r.scores) {
      cell(r.scores->pixel_error.value, 3);
      cell(r.scores->v_rand.value, 3);
      cell(r.scores->v_info.value, 3);
    }
    std::cout << (r.training ? " |\n" : " | | | | | |\n");
  }
}

/// Probabilities side by side, white for 1, in the order of the methods.
void write_picture(const std::string& path, const std::vector<Image>& probabilities) {
  constexpr int64_t gap = 8;  // px
  const Image& first = probabilities.front();
  const auto count = std::ssize(probabilities);
  Grid<uint8_t> picture(first.height, count * (first.width + gap) - gap, 1, 128);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t y = 0; y < first.height; ++y) {
      std::transform(&probabilities[static_cast<size_t>(i)].at(y, 0),
                     &probabilities[static_cast<size_t>(i)].at(y, 0) + first.width,
                     &picture.at(y, i * (first.width + gap)),
                     [](float p) { return static_cast<uint8_t>(255.0F * p + 0.5F); });
    }
  }
  write_file(path, encode_png(picture));
}

std::vector<Method> make_methods(const std::shared_ptr<engine::Device>& device, const TrainingConfig& config,
                                 const Settings& s) {
  std::vector<Method> methods;
  for (const std::string& name : s.methods) {
    if (name == "unet") methods.push_back(unet_method(device, config));
    if (name == "fcn") methods.push_back(fcn_method(device, config));
    if (name == "patches") {
      methods.push_back(patch_method(device, config, PatchClassifierConfig::small(s.patch_maps), s.batches));
    }
  }
  return methods;
}

void run(const Settings& s) {
  const TrainingData data = load(s);
  const auto device = engine::Device::make({.threads = s.threads});
  const std::vector<Method> methods = make_methods(device, data.config, s);

  std::vector<Result> results;
  std::vector<Image> pictures;
  nlohmann::ordered_json document{{"version", UNET_VERSION},
                                  {"threads", device->context().threads},
                                  {"seed", s.seed},
                                  {"step_limit", s.steps},
                                  {"time_limit", s.time_limit},
                                  {"training_pages", data.set.training.size()},
                                  {"validation_pages", data.set.validation.size()},
                                  {"training_patches_per_step", s.batches.training}};
  for (const Method& method : methods) pictures.push_back(train_and_measure(method, data, s, results));
  for (const Result& result : results) document["methods"].push_back(to_json(result));
  if (s.published_rows > 0) document["published_sliding_window"] = time_published(device, data, s);
  print_table(results);
  if (s.published_rows > 0) std::cout << "\n" << document["published_sliding_window"].dump() << "\n";
  if (!s.json_path.empty()) write_file(s.json_path, document.dump(2) + "\n");
  if (!s.picture_path.empty()) write_picture(s.picture_path, pictures);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Compares the U-Net with a sliding window and an FCN: the same training time, the same pages"};
  Settings s;
  app.add_option("--images", s.inputs.images, "images: file, folder or glob")->required();
  app.add_option("--labels", s.inputs.labels, "their labels, two classes of which the last is cell")->required();
  auto* pages = app.add_option("--val-pages", s.validation_pages,
                               "pages to validate on, such as 20-24, from 0; none: the last fifth");
  auto* images = app.add_option("--val-images", s.inputs.validation_images, "images to validate on")->excludes(pages);
  auto* labels = app.add_option("--val-labels", s.inputs.validation_labels, "their labels")->needs(images);
  images->needs(labels);
  app.add_option("--preset", s.preset, "of the U-Net; depth, width, samples and rates hold for all")
      ->capture_default_str();
  app.add_option("--set", s.settings, "section.key=value, overrides the preset");
  app.add_option("--steps", s.steps, "training steps of each network; 0: as many as the time allows");
  app.add_option("--time-limit", s.time_limit, "processor time to train each network for; 0: none")
      ->capture_default_str();
  app.add_option("--methods", s.methods, "unet, fcn, patches; speed is compared with the first")
      ->delimiter(',')
      ->check(CLI::IsMember({"unet", "fcn", "patches"}))
      ->capture_default_str();
  app.add_option("--patch-maps", s.patch_maps, "channels of the sliding window's network")->capture_default_str();
  app.add_option("--patch-batch", s.batches.training, "patches of each sample")->capture_default_str();
  app.add_option("--inference-batch", s.batches.inference, "patches in a pass")->capture_default_str();
  app.add_option("--published-rows", s.published_rows, "rows to time the published 95 px network on; 0: not")
      ->capture_default_str();
  app.add_option("--threads", s.threads, "0: all cores");
  app.add_option("--seed", s.seed, "of weights and samples")->capture_default_str();
  app.add_option("--json", s.json_path, "file for all figures");
  app.add_option("--picture", s.picture_path, "PNG of the first validation page's probabilities, side by side");
  CLI11_PARSE(app, argc, argv);
  try {
    run(s);
  } catch (const std::exception& e) {
    std::cerr << "baseline_benchmark: " << e.what() << "\n";
    return 1;
  }
  return 0;
}
