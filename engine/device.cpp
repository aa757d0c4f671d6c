#include "engine/device.h"

#include <sched.h>

namespace unet::engine {
namespace {

/// Cores this process may run on: respects affinity masks and containers' CPU sets.
int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

bool computes_on_host(kernels::Target target) {
  return target == kernels::Target::cpu || target == kernels::Target::reference;
}

kernels::Context make_context(const DeviceOptions& options) {
  if (options.threads < 0 || options.threads > 1024) {
    throw ConfigError(concat("device: threads: expected 0 (all cores) to 1024, got ", options.threads));
  }
  if (options.tf32 && computes_on_host(options.target)) {
    throw ConfigError(concat("device: precision tf32 is computed on NVIDIA GPUs, not on target ",
                             name_of(options.target), "; use f32 or bf16"));
  }
  return {.target = options.target,
          .threads = options.threads == 0 ? available_cores() : options.threads,
          .convolution = options.convolution,
          .tf32 = options.tf32,
          .state = kernels::make_target_state(options.target, options.index)};
}

}  // namespace

Device::Device(const DeviceOptions& options)
    : context_(make_context(options)), arena_(context_.state), capture_(options.capture) {
  context_.workspace = &arena_;
  arena_.set_limit(options.memory_limit_bytes);
}

bool Device::uses_host_memory() const { return computes_on_host(target()); }

std::shared_ptr<Device> Device::make(const DeviceOptions& options) {
  return std::shared_ptr<Device>(new Device(options));
}

}  // namespace unet::engine
