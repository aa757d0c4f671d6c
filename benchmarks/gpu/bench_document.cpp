#include "benchmarks/gpu/bench_document.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <memory>
#include <sstream>

#include "kernels/cuda/state.h"
#if UNET_WITH_CUDNN
#include <cudnn.h>
#endif

namespace unet::benchmarks {
namespace {

constexpr int kSchema = 1;

using kernels::cuda::require;

std::string version_text(int version) { return concat(version / 1000, ".", version % 1000 / 10); }

cudaDeviceProp properties() {
  int device = 0;
  cudaDeviceProp found{};
  require(cudaGetDevice(&device), "the current GPU");
  require(cudaGetDeviceProperties(&found, device), "the properties of the GPU");
  return found;
}

std::string output_of(const char* command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command, "r"), pclose);
  std::string text;
  std::array<char, 256> part{};
  while (pipe && std::fgets(part.data(), part.size(), pipe.get()) != nullptr) text += part.data();
  return text;
}

}  // namespace

size_t l2_bytes() { return static_cast<size_t>(properties().l2CacheSize); }

Json device_json() {
  const cudaDeviceProp p = properties();
  int driver = 0, runtime = 0;
  require(cudaDriverGetVersion(&driver), "the driver's version");
  require(cudaRuntimeGetVersion(&runtime), "the runtime's version");
  Json json{{"name", p.name},
            {"capability", concat(p.major, ".", p.minor)},
            {"sms", p.multiProcessorCount},
            {"l2_bytes", p.l2CacheSize},
            {"mem_bytes", p.totalGlobalMem},
            {"driver", version_text(driver)},
            {"cuda", version_text(runtime)}};
#if UNET_WITH_CUDNN
  json["cudnn"] = cudnnGetVersion();
#endif
  return json;
}

Json clocks_json() {
  std::istringstream line(output_of(
      "nvidia-smi --id=0 --query-gpu=clocks.sm,clocks.mem,power.draw,temperature.gpu --format=csv,noheader,nounits "
      "2>/dev/null"));
  Json json = Json::object();
  for (const char* name : {"sm_mhz", "mem_mhz", "power_w", "temp_c"}) {
    std::string value;
    if (!std::getline(line, value, ',')) break;
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (end != value.c_str()) json[name] = number;
  }
  return json;
}

Json ceilings_json(const Ceilings& c) {
  return {{"copy_TBps", c.copy_tbps},
          {"l2_TBps", c.l2_tbps},
          {"ffma_TFLOPs", c.ffma_tflops},
          {"bf16_TFLOPs", c.bf16_tflops},
          {"tf32_TFLOPs", c.tf32_tflops},
          {"mma_bf16_TFLOPs", c.mma_bf16_tflops},
          {"mma_tf32_TFLOPs", c.mma_tf32_tflops},
          {"measured_this_run", true}};
}

Json times_json(std::vector<double> us) {
  std::sort(us.begin(), us.end());
  const auto at = [&](double p) { return us[static_cast<size_t>(p * static_cast<double>(us.size() - 1) + 0.5)]; };
  return {{"us_median", at(0.5)}, {"us_p10", at(0.1)}, {"us_p90", at(0.9)}, {"n", us.size()}};
}

Json new_document(const std::string& commit, int argc, char** argv) {
  std::array<char, 32> utc{};
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::strftime(utc.data(), utc.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  std::string command;
  for (int i = 0; i < argc; ++i) command += concat(i == 0 ? "" : " ", argv[i]);
  return {{"schema", kSchema},
          {"version", UNET_VERSION},
          {"git", commit},
          {"utc", utc.data()},
          {"command", command},
          {"device", device_json()},
          {"clocks", {{"before", clocks_json()}}}};
}

}  // namespace unet::benchmarks
