// The JSON document that every benchmark on a GPU writes: what was measured, and on what.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "benchmarks/gpu/ceilings.h"

namespace unet::benchmarks {

using Json = nlohmann::ordered_json;

/// {name, capability, sms, l2_bytes, mem_bytes, driver, cuda, cudnn}
Json device_json();

/// {sm_mhz, mem_mhz, power_w, temp_c} at this moment as nvidia-smi tells them; empty without it. Clocks are read, never
/// set.
Json clocks_json();

Json ceilings_json(const Ceilings& ceilings);

/// {us_median, us_p10, us_p90, n} of times in microseconds.
Json times_json(std::vector<double> us);

/// {schema, version, git, utc, command, device, clocks{before}}; the writer adds its rows and clocks.after.
Json new_document(const std::string& commit, int argc, char** argv);

size_t l2_bytes();

}  // namespace unet::benchmarks
