// Compares the U-Net with the two networks before it, a sliding window and an FCN with additive skips: trains each for
// the same time on the same samples, then segments the validation pages whole. A table on standard output, all figures
// as JSON.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

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
  TrainingCost training;
  double multiply_adds_per_pixel = 0, gflop_per_cpu_s = 0;
  Duration page;  // median over the validation pages
  Isbi2012::Scores scores;
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

/// Segments every validation page; fills in all but the training. `first` becomes the first page's probabilities.
void measure(const Method& method, const std::vector<TrainingPage>& pages, Result& result, Image& first) {
  std::vector<double> wall, cpu, rate;
  Isbi2012 scores;
  for (const TrainingPage& page : pages) {
    const Image image = centred(page);
    const Stopwatch watch;
    const Image p = probability_of_last_class(method.segment(image, whole(image)));
    const Duration time = watch.elapsed();
    wall.push_back(time.wall_s);
    cpu.push_back(time.cpu_s);
    rate.push_back(2e-9 * method.multiply_adds(whole(image)) / time.cpu_s);
    scores.add(p, page.instances);
    if (&page == &pages.front()) first = p;
  }
  const Rect page = whole(pages.front().image);
  result.multiply_adds_per_pixel = method.multiply_adds(page) / static_cast<double>(page.height * page.width);
  result.page = {.wall_s = median(wall), .cpu_s = median(cpu)};
  result.gflop_per_cpu_s = median(rate);
  result.scores = scores.scores();
}

/// The network of Ciresan et al. in its full size, untrained: what a page costs, from some rows of one.
nlohmann::ordered_json time_published(const std::shared_ptr<engine::Device>& device, const TrainingData& data,
                                      const Settings& s) {
  const Method method = patch_method(device, data.config, {}, s.batches);
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
  return {{"name", r.name},
          {"parameters", r.parameters},
          {"multiply_adds_per_pixel", r.multiply_adds_per_pixel},
          {"steps", r.training.steps},
          {"training_wall_s", r.training.time.wall_s},
          {"training_cpu_s", r.training.time.cpu_s},
          {"training_loss", r.training.loss},
          {"page_wall_s", r.page.wall_s},
          {"page_cpu_s", r.page.cpu_s},
          {"gflop_per_cpu_s", r.gflop_per_cpu_s},
          {"pixel_error", r.scores.pixel_error.value},
          {"rand_error", r.scores.rand_error.value},
          {"warping_error", r.scores.warping_error.value},
          {"v_rand", r.scores.v_rand.value},
          {"v_info", r.scores.v_info.value}};
}

void print_table(const std::vector<Result>& results) {
  std::printf(
      "| | parameters | MAC per pixel | steps | training, CPU s | page, CPU s | page, times the first | GFLOP/s |"
      " pixel error | V_rand | V_info |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
  for (const Result& r : results) {
    std::printf("| %s | %s | %s | %s | %.0f | %s | %s | %.0f | %.4f | %.4f | %.4f |\n", r.name.c_str(),
                number_text(static_cast<double>(r.parameters), 12).c_str(),
                number_text(r.multiply_adds_per_pixel, 3).c_str(),
                number_text(static_cast<double>(r.training.steps), 12).c_str(), r.training.time.cpu_s,
                number_text(r.page.cpu_s, 3).c_str(), number_text(r.page.cpu_s / results.front().page.cpu_s, 3).c_str(),
                r.gflop_per_cpu_s, r.scores.pixel_error.value, r.scores.v_rand.value, r.scores.v_info.value);
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
  const double cpu_limit_s = s.time_limit == "0" ? 0 : parse_duration(s.time_limit);
  const std::vector<Method> methods = make_methods(device, data.config, s);

  std::vector<Result> results;
  std::vector<Image> pictures(methods.size());
  nlohmann::ordered_json document{{"version", UNET_VERSION},
                                  {"threads", device->context().threads},
                                  {"seed", s.seed},
                                  {"step_limit", s.steps},
                                  {"cpu_limit_s", cpu_limit_s},
                                  {"training_pages", data.set.training.size()},
                                  {"validation_pages", data.set.validation.size()},
                                  {"training_patches_per_step", s.batches.training}};
  for (size_t i = 0; i < methods.size(); ++i) {
    const Method& method = methods[i];
    Result result{.name = method.name, .parameters = engine::count_elements(method.parameters)};
    std::cerr << method.name << ": training\n";
    result.training = train(method, data.set.training, data.config, s.steps, cpu_limit_s);
    std::cerr << method.name << ": " << result.training.steps << " steps, loss " << number_text(result.training.loss)
              << "; segmenting\n";
    measure(method, data.set.validation, result, pictures[i]);
    document["methods"].push_back(to_json(result));
    results.push_back(std::move(result));
  }
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
