// Times every convolution layer of the U-Net on a GPU, each pass alone, on targets cuda and cudnn in turns, and checks
// every result against sums in f64. Prints one JSON document.
#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "benchmarks/gpu/bench_document.h"
#include "benchmarks/gpu/recorded_work.h"
#include "benchmarks/layer_case.h"
#include "engine/device.h"
#include "kernels/cuda/state.h"
#if UNET_WITH_CUDNN
#include "kernels/cudnn/state.h"
#endif

namespace {

using namespace unet;
using namespace unet::benchmarks;
using kernels::Target;

struct Settings {
  int64_t width = 64, size = 572;
  int rounds = 9, samples = 64, max_plans = 0;
  size_t workspace_limit_bytes = size_t{1} << 30;
  bool nondeterministic = false;
  double budget_s = 0;
  std::vector<std::string> precisions{"bf16", "tf32", "f32"}, targets{"cuda", "cudnn"};
  std::string only, commit = "unknown", out;
};

// Relative L2 errors that a correct kernel stays below: of bf16, rounding the result (2^-9) and, for filter gradients
// of target cudnn, nothing more; of tf32, rounding both factors (2^-11 each); of f32, the order of up to 10^5 sums.
double tolerance(const std::string& precision) {
  return precision == "bf16" ? 6e-3 : precision == "tf32" ? 1.5e-3 : 5e-5;
}

// One target in one precision, with a cache of packed filters for each of the sets of operands.
struct Contender {
  std::string name;
  std::shared_ptr<engine::Device> device;
  std::vector<kernels::FilterCache> caches;
  std::unique_ptr<RecordedWork> cold, warm;
  std::vector<double> cold_us, warm_us;
  double error = 0;

  cudaStream_t stream() const { return kernels::cuda::state_of(device->context()).stream(); }
};

// Forgets the plans of passes before, and takes those that the settings allow.
void restart_search([[maybe_unused]] const Settings& settings, [[maybe_unused]] const engine::Device& device) {
#if UNET_WITH_CUDNN
  if (device.target() != Target::cudnn) return;
  kernels::cudnn::Options options;
  options.deterministic = !settings.nondeterministic;
  options.workspace_limit_bytes = settings.workspace_limit_bytes;
  options.max_plans = settings.max_plans;
  kernels::cudnn::state_of(device.context()).set_options(options);
#endif
}

// The plans that cuDNN's state has chosen since then.
Json chosen_plans([[maybe_unused]] const engine::Device& device) {
  Json plans = Json::array();
#if UNET_WITH_CUDNN
  if (device.target() != Target::cudnn) return plans;
  for (const auto& [problem, choice] : kernels::cudnn::state_of(device.context()).choices()) {
    plans.push_back({{"plan", choice.plan->name()},
                     {"fused", choice.variant.bias == problem.bias && choice.variant.relu == problem.relu},
                     {"workspace_bytes", choice.plan->workspace_bytes()},
                     {"candidates", choice.candidates},
                     {"search_us", choice.us}});
  }
#endif
  return plans;
}

class Benchmark {
 public:
  Benchmark(const Settings& settings, Json& document) : settings_(settings), document_(document) {
    const size_t cache = l2_bytes();
    cold_bytes_ = static_cast<int64_t>(4 * cache);
    document_["layers"] = Json::array();
    document_["not_begun"] = Json::array();  // for the time budget was spent
    document_["failures"] = Json::array();
  }

  void run_layer(const Layer& layer, const std::string& precision) {
    const DType type = precision == "bf16" ? DType::bf16 : DType::f32;
    std::vector<Contender> contenders;
    for (const std::string& target : settings_.targets) {
      contenders.push_back({.name = target, .device = device_for(target, precision == "tf32")});
    }
    std::vector<std::unique_ptr<LayerCase>> sets;
    const kernels::Context& owner = contenders.front().device->context();
    do {
      sets.push_back(make_layer_case(owner, layer, type, 10 * sets.size() + 1));
    } while (static_cast<int64_t>(sets.size()) * sets.front()->bytes() <= cold_bytes_ || sets.size() < 2);
    owner.state->synchronize();  // other streams read the operands from now on
    for (Contender& contender : contenders) contender.caches.resize(sets.size());
    for (const Pass pass : kPasses) {
      if (is_needed(layer, pass)) run_pass(layer, precision, pass, sets, contenders);
    }
  }

 private:
  std::shared_ptr<engine::Device> device_for(const std::string& target, bool tf32) {
    auto& device = devices_[{target, tf32}];
    if (!device) {
      device = engine::Device::make({.target = target == "cuda" ? Target::cuda : Target::cudnn, .tf32 = tf32});
    }
    return device;
  }

  void run_pass(const Layer& layer, const std::string& precision, Pass pass,
                const std::vector<std::unique_ptr<LayerCase>>& sets, std::vector<Contender>& contenders) {
    const std::string what = concat(layer.name, " ", name_of(pass), " ", precision);
    std::vector<Contender*> ready;
    for (Contender& contender : contenders) {
      try {
        prepare(contender, pass, sets);
        ready.push_back(&contender);
      } catch (const Error& error) {
        document_["failures"].push_back(concat(what, " ", contender.name, ": ", error.what()));
      }
    }
    for (int round = 0; round < settings_.rounds; ++round) {  // A B C C B A
      for (size_t i = 0; i < ready.size(); ++i) {
        Contender& contender = *ready[round % 2 == 0 ? i : ready.size() - 1 - i];
        contender.cold_us.push_back(contender.cold->time_us());
        contender.warm->replay();
        contender.warm_us.push_back(contender.warm->time_us());
      }
    }
    for (Contender* contender : ready) {
      report(layer, precision, pass, *contender, true, contender->cold_us);
      report(layer, precision, pass, *contender, false, contender->warm_us);
      contender->cold.reset();
      contender->warm.reset();
    }
  }

  // Executes the pass on every set once, where plans are searched and filters packed, measures the error and records
  // the graphs.
  void prepare(Contender& contender, Pass pass, const std::vector<std::unique_ptr<LayerCase>>& sets) {
    const kernels::Context& context = contender.device->context();
    const auto launch = [&](size_t set) {
      kernels::FilterCache* cache = pass == Pass::forward ? &contender.caches[set] : nullptr;
      sets[set]->run(context, pass, cache);
    };
    restart_search(settings_, *contender.device);
    contender.cold_us.clear();
    contender.warm_us.clear();
    for (size_t set = 0; set < sets.size(); ++set) launch(set);
    context.state->synchronize();
    contender.error = sets.front()->error(pass, settings_.samples);
    constexpr int kLaunches = 20;
    const int count = static_cast<int>(sets.size());
    contender.cold = std::make_unique<RecordedWork>(contender.stream(), (kLaunches + count - 1) / count * count,
                                                    [&](int i) { launch(static_cast<size_t>(i % count)); });
    contender.warm = std::make_unique<RecordedWork>(contender.stream(), kLaunches, [&](int) { launch(0); });
    contender.cold->replay();  // the first replay uploads the graph
  }

  void report(const Layer& layer, const std::string& precision, Pass pass, const Contender& contender, bool is_cold,
              const std::vector<double>& us) {
    const Json times = times_json(us);
    const double seconds = 1e-6 * times["us_median"].get<double>(), flop = 1e9 * layer.gflop();
    const int64_t bytes = least_bytes(layer, pass, precision == "bf16" ? 2 : 4);
    const Json& ceilings = document_["ceilings"];
    const double flops = 1e12 * ceilings[precision == "f32" ? "ffma_TFLOPs" : precision + "_TFLOPs"].get<double>();
    const double floor_s =
        std::max(flop / flops, static_cast<double>(bytes) / (1e12 * ceilings["copy_TBps"].get<double>()));
    // !(a <= b) also refuses an error that is not a number.
    const bool is_wrong = !(contender.error <= tolerance(precision));
    if (is_wrong && is_cold) {
      document_["failures"].push_back(concat(layer.name, " ", name_of(pass), " ", precision, " ", contender.name,
                                             ": error ", contender.error, " above ", tolerance(precision)));
    }
    const auto& all = (is_cold ? contender.cold : contender.warm)->kernels();
    const std::set<std::string> kernels(all.begin(), all.end());
    Json row{{"name", layer.name},
             {"op", name_of(pass)},
             {"precision", precision},
             {"engine", contender.name},
             {"cache", is_cold ? "cold" : "warm"},
             {"size", layer.size},
             {"C", layer.c()},
             {"K", layer.k},
             {"flop", flop},
             {"min_bytes", bytes},
             {"floor_us", 1e6 * floor_s}};
    row.update(times);
    row["tflops"] = 1e-12 * flop / seconds;
    row["pct_of_ceiling"] = 100 * floor_s / seconds;
    row["gbps"] = 1e-9 * static_cast<double>(bytes) / seconds;
    row["rel_err"] = contender.error;
    row["correct"] = !is_wrong;
    row["kernels"] = kernels;
    if (is_cold) row["plans"] = chosen_plans(*contender.device);
    std::cerr << concat(layer.name, " ", name_of(pass), " ", precision, " ", contender.name,
                        is_cold ? " cold " : " warm ", row["us_median"].get<double>(), " us, ",
                        row["tflops"].get<double>(), " TFLOP/s, error ", contender.error, is_wrong ? " WRONG\n" : "\n");
    document_["layers"].push_back(std::move(row));
  }

  const Settings& settings_;
  Json& document_;
  int64_t cold_bytes_ = 0;
  std::map<std::pair<std::string, bool>, std::shared_ptr<engine::Device>> devices_;
};

void write(const Settings& settings, const Json& document) {
  if (settings.out.empty()) {
    std::cout << document.dump(1) << "\n";
    return;
  }
  std::ofstream file(settings.out);
  file << document.dump(1) << "\n";
  if (!file.flush()) throw IoError(concat("gpu_op_benchmark: cannot write ", settings.out));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Times the convolution layers of the U-Net on a GPU, beside cuDNN"};
  Settings settings;
  bool dry_run = false;
  app.add_option("--width", settings.width, "channels of the first level");
  app.add_option("--size", settings.size, "input tile, px");
  app.add_option("--rounds", settings.rounds, "measurements of each contender")->check(CLI::PositiveNumber);
  app.add_option("--samples", settings.samples, "elements of each result compared with f64")
      ->check(CLI::PositiveNumber);
  app.add_option("--precision", settings.precisions, "bf16, tf32, f32")->check(CLI::IsMember({"bf16", "tf32", "f32"}));
  app.add_option("--target", settings.targets, "cuda, cudnn")->check(CLI::IsMember({"cuda", "cudnn"}));
  app.add_option("--layer", settings.only, "layers whose name begins so");
  app.add_option("--max-plans", settings.max_plans, "cuDNN plans timed per problem; 0: all");
  app.add_flag("--nondeterministic", settings.nondeterministic, "cuDNN plans whose results differ from run to run too");
  app.add_option("--budget", settings.budget_s, "seconds after which no further layer is begun; 0: no limit");
  app.add_option("--commit", settings.commit, "recorded in the document: $(git rev-parse --short HEAD)");
  app.add_option("--out", settings.out, "file of the document; also written after every layer");
  app.add_flag("--dry-run", dry_run, "list the cases and end");
  CLI11_PARSE(app, argc, argv);

  try {
    if (dry_run) {
      for (const std::string& precision : settings.precisions) {
        for (const Layer& layer : unet_layers(settings.width, settings.size)) {
          for (const Pass pass : kPasses) {
            if (layer.name.starts_with(settings.only) && is_needed(layer, pass)) {
              std::cout << layer.name << " " << name_of(pass) << " " << precision << "\n";
            }
          }
        }
      }
      return 0;
    }
    const auto start = std::chrono::steady_clock::now();
    const auto device = engine::Device::make({.target = Target::cuda});
    Json document = new_document(settings.commit, argc, argv);
    document["ceilings"] = ceilings_json(measure_ceilings(device->context()));
    document["data"] = {{"seed", 1}, {"dist", "normal(0,1), filters scaled by sqrt(2/fan_in)"}};
    document["config"] = {{"batch", 1},
                          {"width", settings.width},
                          {"size", settings.size},
                          {"accum", "f32"},
                          {"deterministic", !settings.nondeterministic},
                          {"cudnn_workspace_limit_bytes", settings.workspace_limit_bytes},
                          {"cudnn_max_plans", settings.max_plans},
                          {"launches_per_graph", 20}};
    Benchmark benchmark(settings, document);
    for (const std::string& precision : settings.precisions) {
      for (const Layer& layer : unet_layers(settings.width, settings.size)) {
        if (!layer.name.starts_with(settings.only)) continue;
        const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
        if (settings.budget_s > 0 && passed.count() > settings.budget_s) {
          document["not_begun"].push_back(concat(layer.name, " ", precision));
          continue;
        }
        benchmark.run_layer(layer, precision);
        if (!settings.out.empty()) write(settings, document);
      }
    }
    document["clocks"]["after"] = clocks_json();
    write(settings, document);
    return document["failures"].empty() ? 0 : 1;
  } catch (const std::exception& e) {
    std::cerr << "gpu_op_benchmark: " << e.what() << "\n";
    return 2;
  }
}
