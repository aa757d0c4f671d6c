// The header of a safetensors file: JSON text to checked entries.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/types.h"

namespace unet::engine {

/// One tensor of a file.
struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;  // every size above zero; empty for a scalar
  uint64_t begin = 0;          // first byte, counted from the start of the data
  uint64_t bytes = 0;

  /// Such as "f32 [3,2]".
  std::string type_text() const;
};

/// Strings by key, as the format stores them.
using Metadata = std::map<std::string, std::string>;

struct SafetensorsHeader {
  Metadata metadata;
  std::vector<TensorEntry> tensors;  // in the order of their data
};

inline constexpr uint64_t kMaxHeaderBytes = uint64_t{16} << 20;
inline constexpr size_t kMaxTensors = 65536;
inline constexpr size_t kMaxNameBytes = 255;
inline constexpr size_t kMaxRank = 8;

/// The format's name of an element type, such as "F32".
const char* safetensors_name(DType dtype);

/// Parses the JSON text of a file with that many bytes of data behind it. Stricter than the format: limits as above,
/// no duplicate or unknown keys, no empty tensors, no control characters in names, data without holes or overlap.
/// Throws CheckpointError with the reason.
SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes);

}  // namespace unet::engine
