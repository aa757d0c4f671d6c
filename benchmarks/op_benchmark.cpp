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

#include "benchmarks/onednn_layer.h"
#include "engine/device.h"
#include "kernels/conv2d.h"
#include "kernels/conv_transpose2d.h"

namespace {

using namespace unet;
using namespace unet::benchmarks;
using kernels::ConvolutionMode;
using kernels::Scratch;
using kernels::View;

// A layer in this project: images blocked from 8 channels on, as the engine keeps them. Filters are packed once for the
// forward pass, as in inference, and anew in every backward pass, as in training.
template <class T>
class OwnLayer {
 public:
  OwnLayer(const kernels::Context& context, const Layer& layer)
      : context_(context),
        layer_(layer),
        x_(image<T>(layer.size, layer.c1)),
        x2_(image<T>(layer.size + 8, layer.c2)),
        y_(image<T>(layer.output_size(), layer.k)),
        dy_(image<T>(layer.output_size(), layer.k)),
        dx_(image<T>(layer.size, layer.c1)),
        dx2_(image<T>(layer.size + 8, layer.c2)),
        w_(filter(layer.side)),
        dw_(filter(layer.side)),
        b_(vector()),
        db_(vector()) {}

  void forward() {
    if (layer_.kind == LayerKind::convolution) {
      run(context_, kernels::Conv2d<T>{.x = x_.view,
                                       .x2 = skip(x2_),
                                       .w = w_.view,
                                       .b = b_.view,
                                       .y = y_.view,
                                       .y_wide = {},
                                       .relu = layer_.relu,
                                       .cache = &cache_});
    } else {
      run(context_,
          kernels::ConvTranspose2d<T>{.x = x_.view, .w = w_.view, .b = b_.view, .y = y_.view, .cache = &cache_});
    }
  }
  void backward_data() { backward(true, false); }
  void backward_filter() { backward(false, true); }

 private:
  template <class U>
  struct Operand {
    std::unique_ptr<Scratch<U>> memory;
    View<U> view;
  };

  void backward(bool data, bool filter) {
    const View<const T> y = layer_.relu && filter ? View<const T>(y_.view) : View<const T>{};
    const auto dx = data ? dx_.view : View<T>{};
    const auto dw = filter ? dw_.view : View<float>{}, db = filter ? db_.view : View<float>{};
    if (layer_.kind == LayerKind::convolution) {
      run(context_, kernels::Conv2dBackward<T>{.x = x_.view,
                                               .x2 = skip(x2_),
                                               .w = w_.view,
                                               .y = y,
                                               .dy = dy_.view,
                                               .dy_wide = {},
                                               .dx = dx,
                                               .dx2 = data ? skip(dx2_) : View<T>{},
                                               .dw = dw,
                                               .db = db});
    } else {
      run(context_, kernels::ConvTranspose2dBackward<T>{
                        .x = x_.view, .w = w_.view, .y = y, .dy = dy_.view, .dx = dx, .dw = dw, .db = db});
    }
  }

  // The crop that the layer reads of a skip connection.
  View<T> skip(const Operand<T>& image) const {
    return layer_.c2 > 0 ? image.view.centre_crop(layer_.size, layer_.size) : View<T>{};
  }

  template <class U>
  Operand<U> image(int64_t size, int64_t channels) {
    if (channels == 0) return {};
    const bool blocked = preferred_layout(context_.target, channels) == kernels::Layout::blocked;
    const int64_t stored = blocked ? round_up(channels, kernels::kChannelBlock) : channels;
    Operand<U> operand{.memory = std::make_unique<Scratch<U>>(*context_.workspace, size * size * stored), .view = {}};
    std::fill_n(operand.memory->data(), size * size * stored, U(0.25F));
    operand.view = blocked ? View<U>::blocked(operand.memory->data(), 1, size, size, channels)
                           : View<U>::nhwc(operand.memory->data(), 1, size, size, channels);
    return operand;
  }
  Operand<float> filter(int64_t side) { return parameter(layer_.k, side, layer_.c()); }
  Operand<float> vector() { return parameter(1, 1, layer_.k); }
  Operand<float> parameter(int64_t n, int64_t side, int64_t channels) {
    Operand<float> operand{.memory = std::make_unique<Scratch<float>>(*context_.workspace, n * side * side * channels),
                           .view = {}};
    std::fill_n(operand.memory->data(), n * side * side * channels, 0.25F);
    operand.view = View<float>::nhwc(operand.memory->data(), n, side, side, channels);
    return operand;
  }

  const kernels::Context& context_;
  Layer layer_;
  kernels::FilterCache cache_;
  Operand<T> x_, x2_, y_, dy_, dx_, dx2_;
  Operand<float> w_, dw_, b_, db_;
};

template <class T>
Passes own_passes(const kernels::Context& context, const Layer& layer) {
  const auto own = std::make_shared<OwnLayer<T>>(context, layer);
  return {.forward = [own] { own->forward(); },
          .backward_data = [own] { own->backward_data(); },
          .backward_filter = [own] { own->backward_filter(); }};
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
        {"unet f32 fast", [&](const Layer& l) { return own_passes<float>(fast->context(), l); }},
        {"unet f32 direct", [&](const Layer& l) { return own_passes<float>(direct->context(), l); }},
        {"oneDNN f32", [&](const Layer& l) { return onednn_passes(l, DType::f32); }},
        {"unet bf16", [&](const Layer& l) { return own_passes<bf16>(fast->context(), l); }},
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
      for (const auto& [name, pass] :
           {std::pair{"forward", &Passes::forward}, std::pair{"backward_data", &Passes::backward_data},
            std::pair{"backward_filter", &Passes::backward_filter}}) {
        // The network's first layer has no use for the gradient of its image.
        if (layer.c1 == 1 && pass == &Passes::backward_data) continue;
        std::vector<std::function<void()>> runs;
        for (const Passes& p : passes) runs.push_back(p.*pass);
        const std::vector<double> ms = race(runs, rounds, processor_time);
        nlohmann::ordered_json row{{"layer", layer.name},   {"pass", name},       {"input", layer.size},
                                   {"channels", layer.c()}, {"outputs", layer.k}, {"gflop", layer.gflop()}};
        for (size_t i = 0; i < contenders.size(); ++i) {
          row["ms"][contenders[i].name] = ms[i];
          totals[name][contenders[i].name] += ms[i];
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
