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

}  // namespace

Device::Device(const DeviceOptions& options) {
  if (options.threads < 0 || options.threads > 1024) {
    throw ConfigError(concat("device: threads: expected 0 (all cores) to 1024, got ", options.threads));
  }
  context_.target = options.target;
  context_.threads = options.threads == 0 ? available_cores() : options.threads;
  context_.convolution = options.convolution;
  context_.workspace = &arena_;
  context_.state = kernels::make_target_state(options.target);
  arena_.set_limit(options.memory_limit_bytes);
}

std::shared_ptr<Device> Device::make(const DeviceOptions& options) {
  return std::shared_ptr<Device>(new Device(options));
}

}  // namespace unet::engine
