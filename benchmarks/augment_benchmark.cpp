// Times what prepares training data on one core: a training sample, and a page's weight map. One JSON line each. The
// pages are formulas and the random numbers Philox's, so that benchmarks/peers/*_scipy.py compute the same values;
// compare the sums.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <iostream>
#include <numeric>

#include "unet/augment.h"
#include "unet/instance_distance.h"
#include "unet/separation.h"
#include "unet/weight_map.h"

namespace {

using namespace unet;

/// Processor time of this program, which other programs on the machine disturb less than wall time.
double now_ms() { return 1000.0 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

template <class T>
double sum_of(const Grid<T>& grid) {
  return std::accumulate(grid.data.begin(), grid.data.end(), 0.0);
}

/// Calls `run` for that long; the median of its times and its shortest, as JSON members.
std::string timed(double seconds, const std::function<void()>& run) {
  run();
  std::vector<double> times;
  const double start = now_ms();
  while (times.size() < 3 || now_ms() - start < 1000 * seconds) {
    const double before = now_ms();
    run();
    times.push_back(now_ms() - before);
  }
  std::sort(times.begin(), times.end());
  char text[100];
  std::snprintf(text, sizeof text, "\"ms\": %.3f, \"ms_min\": %.3f, \"n\": %zu", times[times.size() / 2], times[0],
                times.size());
  return text;
}

/// 512 x 512 waves; above the middle is class 1.
TrainingPage wave_page() {
  TrainingPage page;
  page.image = Image(512, 512);
  page.classes = LabelMap(512, 512);
  page.weights = Image(512, 512);
  for (int64_t y = 0; y < 512; ++y) {
    for (int64_t x = 0; x < 512; ++x) {
      const double value =
          0.5 + 0.25 * std::sin(static_cast<double>(y) / 7) + 0.25 * std::cos(static_cast<double>(x) / 11);
      page.image.at(y, x) = static_cast<float>(value);
      page.classes.at(y, x) = value > 0.5 ? 1 : 0;
      page.weights.at(y, x) = static_cast<float>(1 + 10 * value * value);
    }
  }
  return page;
}

/// `count` x `count` discs on side x side pixels, each of a radius that nearly touches its neighbours.
LabelMap discs(int64_t side, int64_t count) {
  LabelMap instances(side, side);
  const double period = static_cast<double>(side) / static_cast<double>(count);
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t x = 0; x < side; ++x) {
      const auto row = static_cast<int64_t>(static_cast<double>(y) / period),
                 column = static_cast<int64_t>(static_cast<double>(x) / period);
      const double dy = static_cast<double>(y) - (static_cast<double>(row) + 0.5) * period;
      const double dx = static_cast<double>(x) - (static_cast<double>(column) + 0.5) * period;
      if (dy * dy + dx * dx < 0.23 * period * period)
        instances.at(y, x) = static_cast<int32_t>(1 + row * count + column);
    }
  }
  return instances;
}

void measure_sample(double seconds, ElasticKind elastic, int64_t tile) {
  TrainingConfig config;
  config.tile.input = tile;
  config.augmentation.elastic = elastic;
  const std::vector<TrainingPage> pages{wave_page()};
  const Sample sample = draw_sample(pages, config, 0);
  int64_t index = 0;
  const std::string times = timed(seconds, [&] { draw_sample(pages, config, index++); });
  std::printf(
      "{\"what\": \"sample\", \"engine\": \"unet\", \"elastic\": \"%s\", \"tile\": %lld, %s, \"image_sum\": %.3f, "
      "\"label_sum\": %.0f, \"weight_sum\": %.3f}\n",
      std::string(name_of(elastic)).c_str(), static_cast<long long>(tile), times.c_str(), sum_of(sample.image),
      sum_of(sample.labels), sum_of(sample.weights));
}

void measure_weight_map(double seconds, int64_t side, int64_t count) {
  const LabelMap instances = discs(side, count);
  const LabelMap classes = separate_instances(instances, SeparationBorder::freiburg);
  const Image weights = weight_map(instances, classes, {1, 1}, {});
  const std::string distances = timed(seconds, [&] { instance_distances(instances); });
  const std::string times = timed(seconds, [&] { weight_map(instances, classes, {1, 1}, {}); });
  const auto print = [&](const char* what, const std::string& measured) {
    std::printf(
        "{\"what\": \"%s\", \"engine\": \"unet\", \"side\": %lld, \"instances\": %lld, %s, \"weight_sum\": %.3f}\n",
        what, static_cast<long long>(side), static_cast<long long>(count * count), measured.c_str(), sum_of(weights));
  };
  print("distances", distances);
  print("weight_map", times);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Times training samples and weight maps on one core"};
  double seconds = 2;
  int64_t tile = 572;
  app.add_option("--seconds", seconds, "time to measure each for")->capture_default_str();
  app.add_option("--tile", tile, "side of the input tile, px")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    for (const ElasticKind elastic :
         {ElasticKind::none, ElasticKind::grid3, ElasticKind::bspline, ElasticKind::simard}) {
      measure_sample(seconds, elastic, tile);
    }
    for (const int64_t count : {3, 7, 14}) measure_weight_map(seconds, 1024, count);
  } catch (const std::exception& error) {
    std::cerr << "augment_benchmark: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
