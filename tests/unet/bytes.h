// Numbers in the bytes of files, read one byte at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>

namespace unet::test {

inline uint32_t big(const std::string& bytes, size_t offset, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes.at(offset + i));
  return value;
}

inline uint32_t little(const std::string& bytes, size_t offset, size_t count) {
  uint32_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes.at(offset + i));
  return value;
}

inline float big_float(const std::string& bytes, size_t offset) {
  const uint32_t bits = big(bytes, offset, 4);
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// CRC-32 one bit at a time, by polynomial division.
inline uint32_t crc32_bitwise(const std::string& bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const bool odd = ((crc ^ static_cast<uint8_t>(c) >> bit) & 1) != 0;
      crc = crc >> 1 ^ (odd ? 0xedb88320 : 0);
    }
  }
  return ~crc;
}

/// Entries of a ZIP archive without compression, by its directory. Throws where headers, sums or offsets disagree.
inline std::map<std::string, std::string> unzip(const std::string& file) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::runtime_error(what);
  };
  const size_t end = file.size() - 22;
  require(little(file, end, 4) == 0x06054b50 && little(file, end + 20, 2) == 0, "end of the directory");
  const size_t count = little(file, end + 10, 2);
  size_t at = little(file, end + 16, 4);
  require(at + little(file, end + 12, 4) == end, "size of the directory");
  std::map<std::string, std::string> entries;
  for (size_t i = 0; i < count; ++i) {
    require(little(file, at, 4) == 0x02014b50 && little(file, at + 10, 2) == 0, "entry of the directory");
    const size_t size = little(file, at + 24, 4), name_size = little(file, at + 28, 2),
                 local = little(file, at + 42, 4);
    const std::string name = file.substr(at + 46, name_size);
    require(little(file, local, 4) == 0x04034b50, "local header");
    require(file.substr(local + 4, 26) == file.substr(at + 6, 26), "local header differs from the directory");
    require(file.substr(local + 30, name_size) == name, "local name differs from the directory");
    const std::string content = file.substr(local + 30 + name_size, size);
    require(content.size() == size && little(file, at + 20, 4) == size, "size of an entry");
    require(crc32_bitwise(content) == little(file, at + 16, 4), "checksum of an entry");
    require(entries.emplace(name, content).second, "two entries of one name");
    at += 46 + name_size;
  }
  require(at == end, "directory longer than its entries");
  return entries;
}

}  // namespace unet::test
