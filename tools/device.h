// Where a program computes.
#pragma once

#include <memory>
#include <string>

#include "engine/device.h"

namespace unet::tools {

struct ChosenDevice {
  std::shared_ptr<engine::Device> device;
  std::string text;  // one line for the user: "cuda, NVIDIA H200, 138 GiB of 140 GiB free", "cpu, 2 threads"
};

/// What --device asks for: "cpu", "cuda", "cuda:N", "emulated" where the build has it, or "auto", a GPU where one can
/// be used and else the CPU. The options' target and index are set here. Throws ConfigError that says why there is no
/// such device.
ChosenDevice choose_device(const std::string& name, engine::DeviceOptions options);

/// True where choose_device() understands the name.
bool is_device_name(const std::string& name);

}  // namespace unet::tools
