#include "unet/tiff_directory.h"

#include <array>
#include <span>
#include <unordered_set>

#include "kernels/error.h"

namespace unet {
namespace {

constexpr size_t kMaxDirectories = 65535;
constexpr uint64_t kMaxEntries = 4096;
constexpr uint64_t kSharedBytes = uint64_t{16} << 20;

/// Bytes of one value of a field type; 0 for types that do not exist, whose entries libtiff skips.
uint64_t field_type_bytes(uint64_t type) {
  static constexpr std::array<uint8_t, 19> kBytes{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
  return type < kBytes.size() ? kBytes[type] : 0;
}

/// Unsigned integer of up to eight bytes.
uint64_t integer(std::span<const std::byte> bytes, bool big_endian) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    value = value << 8 | static_cast<uint64_t>(bytes[big_endian ? i : bytes.size() - 1 - i]);
  }
  return value;
}

class Walker {
 public:
  explicit Walker(const engine::InputFile& file) : file_(file) {}

  TiffStructure walk() {
    std::array<std::byte, 16> header{};
    const size_t header_bytes = file_.read_at(0, header);
    structure_.big_endian = header[0] == std::byte{'M'};
    big_ = header_bytes >= 4 && number(header, 2, 2) == 43;
    if (header_bytes < (big_ ? 16U : 8U)) fail("the header is truncated");
    if (big_ && (number(header, 4, 2) != 8 || number(header, 6, 2) != 0)) fail("the BigTIFF header is damaged");

    std::unordered_set<uint64_t> seen;
    uint64_t offset = big_ ? number(header, 8, 8) : number(header, 4, 4);
    if (offset == 0) fail("it holds no image");
    while (offset != 0) {
      if (!seen.insert(offset).second) fail("directory ", seen.size() - 1, " points back to an earlier one");
      if (seen.size() > kMaxDirectories) fail("more than ", kMaxDirectories, " directories");
      structure_.directories.push_back(offset);
      offset = check_directory(offset);
    }
    return std::move(structure_);
  }

 private:
  /// Checks one directory and returns the offset of the next, 0 at the end.
  uint64_t check_directory(uint64_t offset) {
    const size_t page = structure_.directories.size() - 1;
    const uint64_t count_bytes = big_ ? 8 : 2, entry_bytes = big_ ? 20 : 12, offset_bytes = big_ ? 8 : 4;
    const uint64_t entries = integer(read(offset, count_bytes), structure_.big_endian);
    if (entries == 0 || entries > kMaxEntries) {
      fail("directory ", page, " has ", entries, " entries, expected 1 .. ", kMaxEntries);
    }
    const std::vector<std::byte> table = read(offset + count_bytes, entries * entry_bytes + offset_bytes);
    for (uint64_t i = 0; i < entries; ++i) {
      const uint64_t at = i * entry_bytes;
      const uint64_t tag = number(table, at, 2), type = number(table, at + 2, 2);
      const uint64_t count = number(table, at + 4, offset_bytes), item_bytes = field_type_bytes(type);
      if (item_bytes == 0) continue;
      if (count > file_.size() / item_bytes) fail("tag ", tag, " of directory ", page, " is larger than the file");
      const uint64_t bytes = count * item_bytes;
      const uint64_t value_offset = bytes <= offset_bytes ? 0 : number(table, at + 4 + offset_bytes, offset_bytes);
      if (value_offset > file_.size() - bytes) fail("tag ", tag, " of directory ", page, " lies outside the file");
      value_bytes_ += bytes;
      if (value_bytes_ > file_.size() + kSharedBytes) fail("the values of directories 0 .. ", page, " overlap");
    }
    return number(table, entries * entry_bytes, offset_bytes);
  }

  std::vector<std::byte> read(uint64_t offset, uint64_t bytes) const {
    std::vector<std::byte> buffer(bytes);
    if (offset > file_.size() || file_.read_at(offset, buffer) != bytes) {
      fail("directory ", structure_.directories.size() - 1, " lies outside the file");
    }
    return buffer;
  }

  uint64_t number(std::span<const std::byte> bytes, uint64_t at, uint64_t count) const {
    return integer(bytes.subspan(at, count), structure_.big_endian);
  }

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw DataError(concat("read ", file_.path().string(), ": damaged TIFF file, ", parts...));
  }

  const engine::InputFile& file_;
  bool big_ = false;
  TiffStructure structure_;
  uint64_t value_bytes_ = 0;
};

}  // namespace

bool is_tiff(const engine::InputFile& file) {
  std::array<std::byte, 4> start{};
  file.read_at(0, start);
  const bool little = start[0] == std::byte{'I'} && start[1] == std::byte{'I'};
  const bool big = start[0] == std::byte{'M'} && start[1] == std::byte{'M'};
  const uint64_t version = integer(std::span(start).subspan(2), big);
  return (little || big) && (version == 42 || version == 43);
}

TiffStructure check_tiff_structure(const engine::InputFile& file) { return Walker(file).walk(); }

}  // namespace unet
