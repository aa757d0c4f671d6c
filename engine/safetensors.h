// Reads and writes safetensors files: named arrays behind a JSON header, and no code.
//
// Files written here are plain safetensors files for everyone else. Their metadata holds checksums besides:
// unet.format ("1"), unet.sha256 (of the whole file with these 64 digits zero) and unet.crc32c (of every tensor, in the
// order of the data), so that any damage is found, and the damaged tensor named.
// Format: https://github.com/huggingface/safetensors
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/input_file.h"
#include "engine/safetensors_header.h"

namespace unet::engine {

/// A file opened and checked. Memory: the header's entries; tensors are read from the file on request.
class SafetensorsFile {
 public:
  /// Checks everything that parse_safetensors_header() lists, and the checksums where the file has them. Throws
  /// CheckpointError with the reason where the file is not valid or damaged, IoError where it cannot be read.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const Metadata& metadata() const { return header_.metadata; }
  /// In the order of their data.
  const std::vector<TensorEntry>& tensors() const { return header_.tensors; }
  /// Null where there is no tensor of that name.
  const TensorEntry* find(std::string_view name) const;
  /// False for files of other programs.
  bool has_checksums() const { return !checksums_.empty(); }
  const std::filesystem::path& path() const { return file_.path(); }

  /// Fills out with the little-endian elements of a tensor, rows first. Throws CheckpointError where there is no such
  /// tensor or its data changed since the file was opened, and ShapeError where out is not
  /// as long as its data.
  void read(std::string_view name, std::span<std::byte> out) const;

 private:
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const;
  std::vector<size_t>::const_iterator position(std::string_view name) const;
  void read_exactly(uint64_t offset, std::span<std::byte> out) const;
  void check_sums(std::string header);
  std::string damaged_tensor() const;

  InputFile file_;
  SafetensorsHeader header_;
  uint64_t data_begin_ = 0;
  std::vector<uint32_t> checksums_;  // CRC-32C of tensors(); empty where the file has none
  std::vector<size_t> by_name_;      // indices of tensors() in order of name
};

/// What write_safetensors() writes; data stays the caller's.
struct TensorData {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;  // little-endian elements, rows first
};

/// Writes a file that appears whole or not at all (atomic_file.h). Tensors are stored by falling element size, then by
/// name, the first one at a multiple of 64 bytes. The metadata keys unet.format, unet.sha256 and unet.crc32c are set
/// here. Throws CheckpointError, before anything is written, for what SafetensorsFile would refuse, and IoError.
void write_safetensors(const std::filesystem::path& path, std::vector<TensorData> tensors, Metadata metadata = {});

}  // namespace unet::engine
