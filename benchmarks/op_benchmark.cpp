// Times every convolution layer of the U-Net, each pass alone: this project in all its modes beside plain oneDNN,
// interleaved in one run. Prints one JSON document.
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "benchmarks/layer_case.h"
#include "benchmarks/onednn_layer.h"
#include "engine/device.h"

namespace {

using namespace unet;
using namespace unet::benchmarks;
using kernels::ConvolutionMode;

// Filters are packed once for the forward pass, as in inference, and anew in every backward pass, as in training.
Passes own_passes(const kernels::Context& context, const Layer& layer, DType type) {
  const std::shared_ptr<LayerCase> own = make_layer_case(context, layer, type, 1);
  const auto cache = std::make_shared<kernels::FilterCache>();
  return {.forward = [=, &context] { own->run(context, Pass::forward, cache.get()); },
          .backward_data = [=, &context] { own->run(context, Pass::backward_data, nullptr); },
          .backward_filter = [=, &context] { own->run(context, Pass::backward_filter, nullptr); },
          .error = [=](Pass pass) { return own->error(pass, 64); }};
}

struct Contender {
  std::string name;
  std::function<Passes(const Layer&)> make;
};

// Milliseconds on the wall clock, or of processor time over all threads: what a machine that is shared shows better.
double now_ms(bool processor_time) {
  timespec now{};
  clock_gettime(processor_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Median times of all contenders, taking turns `rounds` times after a warm-up.
std::vector<double> race(const std::vector<std::function<void()>>& runs, int rounds, bool processor_time) {
  std::vector<std::vector<double>> times(runs.size());
  for (int round = -1; round < rounds; ++round) {
    for (size_t i = 0; i < runs.size(); ++i) {
      const double before = now_ms(processor_time);
      runs[i]();
      if (round >= 0) times[i].push_back(now_ms(processor_time) - before);
    }
  }
  std::vector<double> medians;
  for (const auto& t : times) medians.push_back(median(t));
  return medians;
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Times the convolution layers of the U-Net pass by pass, beside plain oneDNN"};
  int64_t width = 64, size = 572;
  int threads = omp_get_max_threads(), rounds = 5;
  bool processor_time = false;
  std::string commit = "unknown", only;
  app.add_option("--width", width, "channels of the first level");
  app.add_option("--size", size, "input tile, px");
  app.add_option("--threads", threads, "OpenMP threads");
  app.add_option("--rounds", rounds, "measurements of each contender")->check(CLI::PositiveNumber);
  app.add_flag("--processor-time", processor_time, "processor time of all threads instead of the wall clock");
  app.add_option("--layer", only, "layers whose name begins so");
  app.add_option("--commit", commit, "recorded in the document: $(git rev-parse --short HEAD)");
  CLI11_PARSE(app, argc, argv);

  try {
    omp_set_num_threads(threads);
    const auto device = [&](ConvolutionMode mode) {
      return engine::Device::make({.threads = threads, .convolution = mode});
    };
    const auto fast = device(ConvolutionMode::fast), direct = device(ConvolutionMode::direct);
    const std::vector<Contender> contenders{
        {"unet f32 fast", [&](const Layer& l) { return own_passes(fast->context(), l, DType::f32); }},
        {"unet f32 direct", [&](const Layer& l) { return own_passes(direct->context(), l, DType::f32); }},
        {"oneDNN f32", [&](const Layer& l) { return onednn_passes(l, DType::f32); }},
        {"unet bf16", [&](const Layer& l) { return own_passes(fast->context(), l, DType::bf16); }},
        {"oneDNN bf16", [&](const Layer& l) { return onednn_passes(l, DType::bf16); }}};

    nlohmann::ordered_json document{{"benchmark", "operations"},
                                    {"version", UNET_VERSION},
                                    {"commit", commit},
                                    {"onednn", onednn_version()},
                                    {"machine", processor()},
                                    {"compiler", __VERSION__},
                                    {"threads", threads},
                                    {"width", width},
                                    {"size", size},
                                    {"rounds", rounds},
                                    {"clock", processor_time ? "processor" : "wall"}};
    nlohmann::ordered_json rows = nlohmann::ordered_json::array();
    std::map<std::string, std::map<std::string, double>> totals;
    for (const Layer& layer : unet_layers(width, size)) {
      if (!layer.name.starts_with(only)) continue;
      std::vector<Passes> passes;
      for (const Contender& contender : contenders) passes.push_back(contender.make(layer));
      for (const Pass pass : kPasses) {
        if (!is_needed(layer, pass)) continue;
        std::vector<std::function<void()>> runs;
        for (const Passes& p : passes) runs.push_back(p.of(pass));
        const std::vector<double> ms = race(runs, rounds, processor_time);
        nlohmann::ordered_json row{{"layer", layer.name},   {"pass", name_of(pass)}, {"input", layer.size},
                                   {"channels", layer.c()}, {"outputs", layer.k},    {"gflop", layer.gflop()}};
        for (size_t i = 0; i < contenders.size(); ++i) {
          row["ms"][contenders[i].name] = ms[i];
          if (passes[i].error) row["error"][contenders[i].name] = passes[i].error(pass);
          totals[name_of(pass)][contenders[i].name] += ms[i];
        }
        std::cerr << row.dump() << "\n";
        rows.push_back(std::move(row));
      }
    }
    document["layers"] = std::move(rows);
    document["total_ms"] = totals;
    std::cout << document.dump(1) << "\n";
  } catch (const std::exception& e) {
    std::cerr << "op_benchmark: " << e.what() << "\n";
    return 1;
  }
  return 0;
}
