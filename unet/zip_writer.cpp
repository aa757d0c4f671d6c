#include "unet/zip_writer.h"

#include <array>
#include <cstdint>
#include <span>

#include "kernels/error.h"

namespace unet {
namespace {

constexpr size_t kMostEntries = 65535;
constexpr uint64_t kMostBytes = 0xffff'ffff;

/// CRC-32 of ISO 3309 (polynomial 0x04C11DB7, reflected).
uint32_t crc32(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < t.size(); ++i) {
      t[i] = i;
      for (int bit = 0; bit < 8; ++bit) t[i] = (t[i] >> 1) ^ ((t[i] & 1) != 0 ? 0xedb88320 : 0);
    }
    return t;
  }();
  uint32_t crc = ~0U;
  for (const char c : bytes) crc = (crc >> 8) ^ table[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

/// Little-endian fields one after the other.
class Record {
 public:
  Record& u16(uint64_t value) { return append(value, 2); }
  Record& u32(uint64_t value) { return append(value, 4); }
  Record& text(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Record& append(uint64_t value, int count) {
    for (int i = 0; i < count; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    return *this;
  }
  std::string bytes_;
};

/// The fields that stand in an entry's own header and in the directory alike: version needed to extract to extra
/// length.
Record entry_fields(std::string_view name, std::string_view content) {
  constexpr uint16_t kVersion = 20, kUtf8Names = 1 << 11, kStored = 0, kMidnight = 0, kFirstOfJanuary1980 = 0x21;
  Record fields;
  fields.u16(kVersion).u16(kUtf8Names).u16(kStored).u16(kMidnight).u16(kFirstOfJanuary1980);
  fields.u32(crc32(content)).u32(content.size()).u32(content.size()).u16(name.size()).u16(0);
  return fields;
}

}  // namespace

void ZipWriter::write(std::string_view bytes) { file_.write(std::as_bytes(std::span(bytes))); }

void ZipWriter::add(std::string_view name, std::string_view content) {
  const uint64_t offset = file_.size();
  // Headers are 30 and 46 bytes, the end of the directory 22.
  const uint64_t end = offset + directory_.size() + content.size() + 2 * name.size() + 30 + 46 + 22;
  if (entries_ == kMostEntries || end > kMostBytes) {
    throw DataError(concat("write ", file_.path().string(), ": expected at most ", kMostEntries,
                           " entries of 4 GiB together, got more; write fewer objects, or split the image"));
  }
  const std::string fields = entry_fields(name, content).bytes();
  write(Record().u32(0x04034b50).text(fields).text(name).bytes());
  write(content);
  // Made by version 2.0; then no comment, disk 0, no attributes.
  directory_ +=
      Record().u32(0x02014b50).u16(20).text(fields).u16(0).u16(0).u16(0).u32(0).u32(offset).text(name).bytes();
  ++entries_;
}

void ZipWriter::commit() {
  const uint64_t offset = file_.size();
  write(directory_);
  write(Record()
            .u32(0x06054b50)
            .u16(0)
            .u16(0)
            .u16(entries_)
            .u16(entries_)
            .u32(directory_.size())
            .u32(offset)
            .u16(0)
            .bytes());
  file_.commit();
}

}  // namespace unet
