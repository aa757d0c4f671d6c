// Times the whole network: forward pass and training step, one JSON line each.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <vector>

#include "engine/autograd.h"
#include "engine/sgd.h"
#include "engine/softmax_cross_entropy.h"
#include "unet/network.h"

namespace {

using namespace unet;
using engine::Shape;
using engine::Tensor;

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

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Times the U-Net of this project: forward pass or training step, batch 1"};
  std::string mode = "forward", precision = "f32", convolution = "fast";
  int64_t width = 64, size = 572, repeats = 0;
  int threads = 0;
  double seconds = 10;
  app.add_option("--mode", mode, "forward or train_step")->check(CLI::IsMember({"forward", "train_step"}));
  app.add_option("--precision", precision, "f32 or bf16")->check(CLI::IsMember({"f32", "bf16"}));
  app.add_option("--convolution", convolution, "fast or direct")->check(CLI::IsMember({"fast", "direct"}));
  app.add_option("--width", width, "channels of the first level");
  app.add_option("--size", size, "input tile, px");
  app.add_option("--threads", threads, "0: all cores");
  app.add_option("--seconds", seconds, "time to measure for, after two warm-up runs");
  app.add_option("--repeats", repeats, "measured runs; 0: as many as fit");
  CLI11_PARSE(app, argc, argv);

  try {
    const auto device = engine::Device::make(
        {.threads = threads,
         .convolution = convolution == "fast" ? kernels::ConvolutionMode::fast : kernels::ConvolutionMode::direct});
    const Network network(device, {.width = width, .dropout = mode == "forward" ? 0.0 : 0.5}, 1);
    const DType dtype = precision == "f32" ? DType::f32 : DType::bf16;

    std::vector<float> pixels(static_cast<size_t>(size * size));
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = kernels::uniform(kernels::philox({.seed = 7}, i).word[0]);
    const Tensor x = Tensor::from(device, Shape{1, size, size, 1}, pixels);

    std::function<void()> run;
    std::unique_ptr<engine::Sgd> optimizer;
    Tensor labels;
    int64_t step = 0;
    if (mode == "forward") {
      run = [&] {
        const engine::NoGrad guard(*device);
        network.forward(x, dtype);
      };
    } else {
      optimizer = std::make_unique<engine::Sgd>(network.parameters());
      const int64_t side = size - 184;
      std::vector<int32_t> values(static_cast<size_t>(side * side));
      for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(kernels::philox({}, i).word[0] & 1U);
      labels = Tensor::from(device, Shape{1, side, side, 1}, values);
      run = [&] {
        const kernels::PhiloxKey key{.seed = 1, .purpose = 2, .step = static_cast<uint32_t>(step++)};
        engine::backward(engine::softmax_cross_entropy(network.forward(x, dtype, &key), labels));
        optimizer->step(1e-6);
        engine::clear_gradients(optimizer->parameters());
      };
    }

    run();
    run();
    const int64_t growths = device->arena().growths();
    std::vector<double> times;
    const double start = now_ms();
    while (repeats > 0 ? static_cast<int64_t>(times.size()) < repeats
                       : times.size() < 3 || now_ms() - start < 1000 * seconds) {
      const double before = now_ms();
      run();
      times.push_back(now_ms() - before);
    }
    if (device->arena().growths() != growths) throw Error("benchmark: memory was requested after the first step");
    std::printf(
        "{\"engine\": \"unet\", \"version\": \"%s\", \"mode\": \"%s\", \"width\": %lld, \"size\": %lld, "
        "\"precision\": \"%s\", \"convolution\": \"%s\", \"threads\": %d, \"ms\": %.3f, \"ms_p10\": %.3f, "
        "\"ms_p90\": %.3f, \"n\": %zu, \"peak_rss_mb\": %.0f, \"arena_peak_mb\": %.0f}\n",
        UNET_VERSION, mode.c_str(), static_cast<long long>(width), static_cast<long long>(size), precision.c_str(),
        convolution.c_str(), device->context().threads, percentile(times, 0.5), percentile(times, 0.1),
        percentile(times, 0.9), times.size(), peak_rss_mb(), static_cast<double>(device->arena().peak_bytes()) / 1e6);
  } catch (const std::exception& e) {
    std::cerr << "network_benchmark: " << e.what() << "\n";
    return 1;
  }
  return 0;
}
