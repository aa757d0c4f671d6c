#include "tools/device.h"

#include <charconv>
#include <optional>

#include "kernels/error.h"
#include "unet/readable.h"

namespace unet::tools {
namespace {

struct Place {
  kernels::Target target = kernels::Target::cpu;
  int index = 0;
};

/// Nothing for "auto" and for names that mean nothing.
std::optional<Place> place_of(const std::string& name) {
  using kernels::Target;
  if (name == "cpu") return Place{Target::cpu};
  if (name == "cuda") return Place{Target::cuda};
  if (name == "emulated" && kernels::kBuilt<kernels::Emulated>) return Place{Target::emulated};
  const std::string prefix = "cuda:";
  if (!name.starts_with(prefix)) return {};
  Place place{Target::cuda};
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + prefix.size(), end, place.index);
  if (error != std::errc{} || rest != end || place.index < 0) return {};
  return place;
}

ChosenDevice make(const Place& place, engine::DeviceOptions options) {
  options.target = place.target;
  options.index = place.index;
  auto device = engine::Device::make(options);
  if (device->uses_host_memory()) {
    const int threads = device->context().threads;
    return {device, concat(name_of(device->target()), ", ", threads, threads == 1 ? " thread" : " threads")};
  }
  const kernels::DeviceInfo info = device->state().info();
  return {device, concat(name_of(device->target()), ", ", info.name, ", ", bytes_text(info.free_bytes), " of ",
                         bytes_text(info.total_bytes), " free")};
}

}  // namespace

bool is_device_name(const std::string& name) { return name == "auto" || place_of(name); }

ChosenDevice choose_device(const std::string& name, engine::DeviceOptions options) {
  if (const auto place = place_of(name)) return make(*place, options);
  if constexpr (!kernels::kBuilt<kernels::Cuda>) return make({}, options);
  try {
    return make({kernels::Target::cuda}, options);
  } catch (const ConfigError& no_gpu) {
    ChosenDevice chosen = make({}, options);
    chosen.text += concat(" (", no_gpu.what(), ")");
    return chosen;
  }
}

}  // namespace unet::tools
