// Times the whole network: forward pass or training step, one JSON line. Or writes network, input and labels to a file,
// or trains a few steps and tells the losses: so that other engines can be shown to compute the same.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/autograd.h"
#include "engine/sgd.h"
#include "engine/softmax_cross_entropy.h"
#include "engine/tensor_file.h"
#include "unet/network.h"
#if UNET_WITH_CUDA
#include "benchmarks/gpu/recorded_work.h"
#include "kernels/cuda/state.h"
#endif

namespace {

using namespace unet;
using engine::Shape;
using engine::Tensor;
using kernels::Target;

struct Settings {
  std::string target = "cpu", mode = "forward", precision = "f32", convolution = "fast";
  int64_t batch = 1, width = 64, size = 572, repeats = 0;
  int threads = 0;
  double seconds = 10;
  bool eager = false;
  std::string export_path;
  int losses = 0;  // training steps to tell the losses of

  bool trains() const { return mode == "train_step" || losses > 0; }
};

constexpr double kLossRate = 1e-3;  // learning rate of --losses; unet_pytorch.py has the same

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double peak_rss_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

double percentile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(p * static_cast<double>(values.size() - 1) + 0.5)];
}

Target target_of(const std::string& name) {
  for (const Target target : {Target::cuda, Target::cudnn, Target::emulated, Target::reference}) {
    if (name == kernels::name_of(target)) return target;
  }
  return Target::cpu;
}

// A network with what it is run on; run() is one forward pass or one training step.
class Workload {
 public:
  Workload(const std::shared_ptr<engine::Device>& device, const Settings& settings)
      : device_(device),
        dtype_(settings.precision == "bf16" ? DType::bf16 : DType::f32),
        network_(device, {.width = settings.width, .dropout = settings.trains() && settings.losses == 0 ? 0.5 : 0.0},
                 1) {
    const int64_t size = settings.size, side = size - 184;
    std::vector<float> pixels(static_cast<size_t>(settings.batch * size * size));
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = kernels::uniform(kernels::philox({.seed = 7}, i).word[0]);
    x_ = Tensor::from(device, Shape{settings.batch, size, size, 1}, pixels);
    std::vector<int32_t> labels(static_cast<size_t>(settings.batch * side * side));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int32_t>(kernels::philox({}, i).word[0] & 1U);
    labels_ = Tensor::from(device, Shape{settings.batch, side, side, 1}, labels);
    if (settings.trains()) optimizer_ = std::make_unique<engine::Sgd>(network_.parameters());
  }

  void run() {
    if (!optimizer_) {
      const engine::NoGrad guard(*device_);
      network_.forward(x_, dtype_);
    } else {
      train(1e-6);
    }
  }

  /// One training step; its loss.
  Tensor train(double lr) {
    const kernels::PhiloxKey key{.seed = 1, .purpose = 2, .step = static_cast<uint32_t>(step_++)};
    Tensor loss = engine::softmax_cross_entropy(network_.forward(x_, dtype_, &key), labels_);
    engine::backward(loss);
    optimizer_->step(lr);
    engine::clear_gradients(optimizer_->parameters());
    return loss;
  }

  /// Parameters, "input" [N,H,W,1] and "labels" [N,h,w,1] as a safetensors file.
  void write(const std::string& path) const {
    engine::ParameterList tensors = network_.parameters();
    tensors.push_back({.name = "input", .value = x_});
    tensors.push_back({.name = "labels", .value = labels_});
    engine::save_tensors(path, tensors,
                         {{"width", std::to_string(network_.config().width)},
                          {"depth", std::to_string(network_.config().depth)},
                          {"wiring", "paper"}});
  }

 private:
  std::shared_ptr<engine::Device> device_;
  DType dtype_;
  Network network_;
  Tensor x_, labels_;
  std::unique_ptr<engine::Optimizer> optimizer_;
  int64_t step_ = 0;
};

// Milliseconds of each measured run.
std::vector<double> measure(const Settings& settings, const std::function<double()>& run_ms) {
  std::vector<double> times;
  const double start = now_ms();
  while (settings.repeats > 0 ? static_cast<int64_t>(times.size()) < settings.repeats
                              : times.size() < 3 || now_ms() - start < 1000 * settings.seconds) {
    times.push_back(run_ms());
  }
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Times the U-Net of this project: forward pass or training step"};
  Settings settings;
  app.add_option("--target", settings.target, "cpu, cuda, cudnn, emulated or reference")
      ->check(CLI::IsMember({"cpu", "cuda", "cudnn", "emulated", "reference"}));
  app.add_option("--mode", settings.mode, "forward or train_step")->check(CLI::IsMember({"forward", "train_step"}));
  app.add_option("--precision", settings.precision, "f32, tf32 (targets cuda and cudnn) or bf16")
      ->check(CLI::IsMember({"f32", "tf32", "bf16"}));
  app.add_option("--convolution", settings.convolution, "fast or direct")->check(CLI::IsMember({"fast", "direct"}));
  app.add_option("--batch", settings.batch, "images at a time")->check(CLI::PositiveNumber);
  app.add_option("--width", settings.width, "channels of the first level");
  app.add_option("--size", settings.size, "input tile, px");
  app.add_option("--threads", settings.threads, "0: all cores");
  app.add_option("--seconds", settings.seconds, "time to measure for, after two warm-up runs");
  app.add_option("--repeats", settings.repeats, "measured runs; 0: as many as fit");
  app.add_flag("--eager", settings.eager, "on a GPU: launch every kernel anew instead of replaying a graph");
  app.add_option("--export", settings.export_path, "write network, input and labels to this file, measure nothing");
  app.add_option("--losses", settings.losses, "tell the losses of so many steps without dropout, measure nothing");
  CLI11_PARSE(app, argc, argv);

  try {
    const auto device =
        engine::Device::make({.target = target_of(settings.target),
                              .threads = settings.threads,
                              .convolution = settings.convolution == "fast" ? kernels::ConvolutionMode::fast
                                                                            : kernels::ConvolutionMode::direct,
                              .tf32 = settings.precision == "tf32"});
    Workload workload(device, settings);
    if (!settings.export_path.empty()) {
      workload.write(settings.export_path);
      return 0;
    }
    if (settings.losses > 0) {
      nlohmann::ordered_json losses = nlohmann::ordered_json::array();
      for (int i = 0; i < settings.losses; ++i) losses.push_back(workload.train(kLossRate).item());
      std::cout << nlohmann::ordered_json{{"engine", "unet"}, {"losses", losses}}.dump() << "\n";
      return 0;
    }
    workload.run();
    workload.run();
    device->state().synchronize();
    const int64_t growths = device->arena().growths();

    nlohmann::ordered_json line{{"engine", "unet"},
                                {"version", UNET_VERSION},
                                {"target", settings.target},
                                {"mode", settings.mode},
                                {"batch", settings.batch},
                                {"width", settings.width},
                                {"size", settings.size},
                                {"precision", settings.precision},
                                {"convolution", settings.convolution},
                                {"threads", device->context().threads}};
    std::vector<double> times;
#if UNET_WITH_CUDA
    const bool on_gpu = device->target() == Target::cuda || device->target() == Target::cudnn;
    if (on_gpu) {
      const cudaStream_t stream = kernels::cuda::state_of(device->context()).stream();
      const benchmarks::RecordedWork graph(stream, 1, [&](int) { workload.run(); });
      graph.replay();
      line["graph"] = !settings.eager;
      line["kernels_per_step"] = graph.kernels().size();
      times = measure(settings, [&] {
        return settings.eager ? benchmarks::event_ms(stream, [&] { workload.run(); }) : graph.time_us() / 1000;
      });
    }
#else
    constexpr bool on_gpu = false;
#endif
    if (!on_gpu) {
      times = measure(settings, [&] {
        const double before = now_ms();
        workload.run();
        device->state().synchronize();
        return now_ms() - before;
      });
    }
    if (device->arena().growths() != growths) throw Error("benchmark: memory was requested after the first step");
    const double median = percentile(times, 0.5);
    line["ms"] = median;
    line["ms_p10"] = percentile(times, 0.1);
    line["ms_p90"] = percentile(times, 0.9);
    line["n"] = times.size();
    line["images_per_s"] = 1000 * static_cast<double>(settings.batch) / median;
    line["peak_rss_mb"] = peak_rss_mb();
    line["arena_peak_mb"] = static_cast<double>(device->arena().peak_bytes()) / 1e6;
    std::cout << line.dump() << "\n";
  } catch (const std::exception& e) {
    std::cerr << "network_benchmark: " << e.what() << "\n";
    return 1;
  }
  return 0;
}
