// Shows that results on a GPU are the same to the last bit: of every layer and pass over many launches and when a graph
// is replayed, and of the whole network when a graph is replayed. Exit status 1 where one is not.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <span>

#include "benchmarks/gpu/recorded_work.h"
#include "benchmarks/layer_case.h"
#include "engine/autograd.h"
#include "engine/sgd.h"
#include "engine/softmax_cross_entropy.h"
#include "kernels/cuda/state.h"
#include "unet/network.h"

namespace {

using namespace unet;
using namespace unet::benchmarks;
using engine::Shape;
using engine::Tensor;

struct Precision {
  const char* name;
  DType type;
  bool tf32;
};
constexpr std::array kPrecisions{Precision{"f32", DType::f32, false}, Precision{"tf32", DType::f32, true},
                                 Precision{"bf16", DType::bf16, false}};

cudaStream_t stream_of(const engine::Device& device) { return kernels::cuda::state_of(device.context()).stream(); }

class Check {
 public:
  void require(bool is_equal, const std::string& what) {
    ++checks_;
    if (is_equal) return;
    ++differences_;
    std::cout << "DIFFERENT: " << what << "\n";
  }
  int finish() const {
    std::cout << checks_ << " comparisons, " << differences_ << " different\n";
    return checks_ > 0 && differences_ == 0 ? 0 : 1;
  }

 private:
  int checks_ = 0, differences_ = 0;
};

void check_layer(Check& check, const engine::Device& device, const Layer& layer, const Precision& precision,
                 int launches) {
  const kernels::Context& context = device.context();
  const auto own = make_layer_case(context, layer, precision.type, 1);
  for (const Pass pass : kPasses) {
    if (!is_needed(layer, pass)) continue;
    const std::string what = concat(layer.name, " ", name_of(pass), " ", precision.name);
    own->run(context, pass, nullptr);
    const std::vector<std::byte> first = own->result(pass);
    int same = 1;
    for (; same < launches; ++same) {
      own->run(context, pass, nullptr);
      if (own->result(pass) != first) break;
    }
    check.require(same == launches, concat(what, ": launch ", same, " of ", launches));
    const RecordedWork graph(stream_of(device), 3, [&](int) { own->run(context, pass, nullptr); });
    graph.replay();
    check.require(own->result(pass) == first, what + ": replay of a graph");
  }
}

// Parameters after `steps` training steps, and the scores of the network that they make.
std::vector<std::vector<float>> trained(const std::shared_ptr<engine::Device>& device, const Precision& precision,
                                        int64_t size, int steps, bool by_graph) {
  const Network network(device, {.width = 16}, 1);
  engine::Sgd optimizer(network.parameters());
  std::vector<float> pixels(static_cast<size_t>(size * size));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = kernels::uniform(kernels::philox({.seed = 7}, i).word[0]);
  const Tensor x = Tensor::from(device, Shape{1, size, size, 1}, pixels);
  const int64_t side = size - 184;
  const std::vector<int32_t> zeros(static_cast<size_t>(side * side));
  const Tensor labels = Tensor::from(device, Shape{1, side, side, 1}, zeros);
  const auto step = [&] {
    const kernels::PhiloxKey key{.seed = 1, .purpose = 2};
    engine::backward(engine::softmax_cross_entropy(network.forward(x, precision.type, &key), labels));
    optimizer.step(1e-3);
    engine::clear_gradients(optimizer.parameters());
  };
  step();  // makes the optimiser's state, and the memory that a capture may not ask for
  if (by_graph) {
    const RecordedWork graph(stream_of(*device), 1, [&](int) { step(); });
    for (int i = 1; i < steps; ++i) graph.replay();
    device->state().synchronize();
  } else {
    for (int i = 1; i < steps; ++i) step();
  }
  std::vector<std::vector<float>> values;
  for (const engine::Parameter& parameter : optimizer.parameters()) values.push_back(parameter.value.to_vector());
  const engine::NoGrad guard(*device);
  values.push_back(network.forward(x, precision.type).to_vector());
  return values;
}

bool equal_bits(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  const auto same = [](const std::vector<float>& p, const std::vector<float>& q) {
    const auto bytes = [](const std::vector<float>& v) { return std::as_bytes(std::span(v)); };
    return std::ranges::equal(bytes(p), bytes(q));
  };
  return std::ranges::equal(a, b, same);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Shows that results on a GPU are the same to the last bit from launch to launch"};
  int64_t width = 64, size = 188;
  int launches = 200;
  std::string only;
  app.add_option("--width", width, "channels of the first level");
  app.add_option("--size", size, "input tile, px");
  app.add_option("--launches", launches, "of every pass of every layer")->check(CLI::Range(2, 100000));
  app.add_option("--layer", only, "layers whose name begins so");
  CLI11_PARSE(app, argc, argv);
  try {
    Check check;
    for (const Precision& precision : kPrecisions) {
      const auto device = engine::Device::make({.target = kernels::Target::cuda, .tf32 = precision.tf32});
      for (const Layer& layer : unet_layers(width, size)) {
        if (layer.name.starts_with(only)) check_layer(check, *device, layer, precision, launches);
      }
      const auto eager = trained(device, precision, size, 4, false);
      check.require(equal_bits(eager, trained(device, precision, size, 4, false)),
                    concat("training ", precision.name, ": again"));
      check.require(equal_bits(eager, trained(device, precision, size, 4, true)),
                    concat("training ", precision.name, ": replay of a graph"));
    }
    return check.finish();
  } catch (const std::exception& e) {
    std::cerr << "gpu_determinism_check: " << e.what() << "\n";
    return 2;
  }
}
