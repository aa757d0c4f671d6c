// Named tensors to and from a safetensors file.
#pragma once

#include <filesystem>
#include <string_view>

#include "engine/parameter.h"
#include "engine/safetensors.h"

namespace unet::engine {

/// The same tensors with `prefix` before every name, such as "model/".
ParameterList with_prefix(std::string_view prefix, const ParameterList& list);

/// Writes the tensors in channels-last order under their names, each with its shape and element type. Throws
/// NumericError, before anything is written, where a value is not finite, and as write_safetensors() does. Takes host
/// memory for a copy of the values until it returns.
void save_tensors(const std::filesystem::path& path, const ParameterList& list, Metadata metadata = {});

/// Overwrites the values of the tensors in list with those of the file. All names in the file that begin with `prefix`
/// (tensors of other names are left aside) must be the prefixed names of the list, with equal shapes and types and
/// finite values. Throws CheckpointError that names the tensor and both shapes; then no value of the list has changed.
/// Takes host memory for a copy of the values until it returns.
void load_tensors(const SafetensorsFile& file, const ParameterList& list, std::string_view prefix = "");

}  // namespace unet::engine
