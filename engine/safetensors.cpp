#include "engine/safetensors.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "engine/atomic_file.h"
#include "engine/checksum.h"
#include "kernels/error.h"

namespace unet::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian, and so are the casts here");

constexpr const char* kFormatKey = "unet.format";
constexpr const char* kSha256Key = "unet.sha256";
constexpr const char* kCrc32cKey = "unet.crc32c";
constexpr size_t kDigestDigits = 64;
constexpr size_t kDataAlignment = 64;
constexpr size_t kPieceBytes = size_t{1} << 20;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

/// Where the digits of unet.sha256 lie in a header as written here; npos unless there is exactly one such place.
size_t digest_position(std::string_view header) {
  const std::string field = concat('"', kSha256Key, "\":\"");
  const size_t at = header.find(field);
  if (at == header.npos || header.find(field, at + 1) != header.npos) return header.npos;
  const size_t begin = at + field.size();
  return header.substr(begin).find('"') == kDigestDigits ? begin : header.npos;
}

std::string hex(uint32_t value) {
  std::string text(8, '0');
  for (size_t i = 0; i < 8; ++i) text[i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 15];
  return text;
}

/// Eight hexadecimal digits each, separated by one space; empty where the text is anything else.
std::vector<uint32_t> parse_checksums(const std::string& text) {
  std::vector<uint32_t> sums;
  for (size_t at = 0; at < text.size(); at += 9) {
    uint32_t sum = 0;
    const char* end = text.data() + std::min(at + 8, text.size());
    const auto result = std::from_chars(text.data() + at, end, sum, 16);
    if (result.ec != std::errc() || hex(sum) != std::string_view(text.data() + at, end)) return {};
    if (at + 8 < text.size() && text[at + 8] != ' ') return {};
    sums.push_back(sum);
  }
  return sums;
}

}  // namespace

template <class... Parts>
void SafetensorsFile::fail(const Parts&... parts) const {
  throw CheckpointError(concat("read ", file_.path(), ": ", parts...));
}

void SafetensorsFile::read_exactly(uint64_t offset, std::span<std::byte> out) const {
  const size_t got = file_.read_at(offset, out);
  if (got != out.size()) fail("expected ", out.size(), " bytes at byte ", offset, ", got ", got, "; the file was cut");
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  if (file_.size() < 8) fail("expected at least 8 bytes, got ", file_.size());
  uint64_t header_bytes = 0;
  read_exactly(0, std::as_writable_bytes(std::span(&header_bytes, 1)));
  const uint64_t limit = std::min(kMaxHeaderBytes, file_.size() - 8);
  if (header_bytes > limit) fail("expected a header of at most ", limit, " bytes, got ", header_bytes);
  data_begin_ = 8 + header_bytes;
  std::string text(header_bytes, '\0');
  read_exactly(8, std::as_writable_bytes(std::span(text)));
  try {
    header_ = parse_safetensors_header(text, file_.size() - data_begin_);
  } catch (const CheckpointError& error) {
    fail(error.what());
  }

  by_name_.resize(tensors().size());
  std::iota(by_name_.begin(), by_name_.end(), size_t{0});
  const auto by_name = [this](size_t a, size_t b) { return tensors()[a].name < tensors()[b].name; };
  std::sort(by_name_.begin(), by_name_.end(), by_name);

  // A damaged key must not pass a file of ours off as one without checksums.
  const auto ours = metadata().lower_bound("unet.");
  if (ours != metadata().end() && ours->first.starts_with("unet.")) check_sums(std::move(text));
}

void SafetensorsFile::check_sums(std::string header) {
  const auto value = [this](const char* key) {
    const auto found = metadata().find(key);
    if (found == metadata().end()) fail("metadata ", key, " is missing; the file is damaged");
    return found->second;
  };
  if (value(kFormatKey) != "1") {
    fail("expected ", kFormatKey, " 1, got '", value(kFormatKey), "'; a newer version may read it");
  }
  checksums_ = parse_checksums(value(kCrc32cKey));
  if (checksums_.size() != tensors().size()) {
    fail("expected ", tensors().size(), " sums in ", kCrc32cKey, ", got ", checksums_.size());
  }
  const std::string expected = value(kSha256Key);
  const size_t digest_at = digest_position(header);
  if (digest_at == header.npos) fail(kSha256Key, " is not 64 digits; the file is damaged");
  header.replace(digest_at, kDigestDigits, kDigestDigits, '0');

  Sha256 sum;
  const uint64_t header_bytes = header.size();
  sum.update(std::as_bytes(std::span(&header_bytes, 1)));
  sum.update(bytes_of(header));
  std::vector<std::byte> piece(std::min<uint64_t>(kPieceBytes, file_.size() - data_begin_));
  for (uint64_t at = data_begin_; at < file_.size(); at += piece.size()) {
    piece.resize(std::min<uint64_t>(piece.size(), file_.size() - at));
    read_exactly(at, piece);
    sum.update(piece);
  }
  if (sum.hex_digest() != expected) {
    fail("the file is damaged", damaged_tensor(), "; SHA-256: expected ", expected, ", got ", sum.hex_digest());
  }
}

std::string SafetensorsFile::damaged_tensor() const {
  std::vector<std::byte> piece;
  for (size_t i = 0; i < tensors().size(); ++i) {
    const TensorEntry& t = tensors()[i];
    uint32_t sum = 0;
    for (uint64_t done = 0; done < t.bytes; done += piece.size()) {
      piece.resize(std::min<uint64_t>(kPieceBytes, t.bytes - done));
      read_exactly(data_begin_ + t.begin + done, piece);
      sum = crc32c(piece, sum);
    }
    if (sum != checksums_[i]) return concat(" in tensor '", t.name, "'");
  }
  return " in its header";
}

std::vector<size_t>::const_iterator SafetensorsFile::position(std::string_view name) const {
  const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                   [this](size_t i, std::string_view n) { return tensors()[i].name < n; });
  return at != by_name_.end() && tensors()[*at].name == name ? at : by_name_.end();
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto at = position(name);
  return at == by_name_.end() ? nullptr : &tensors()[*at];
}

void SafetensorsFile::read(std::string_view name, std::span<std::byte> out) const {
  const auto at = position(name);
  if (at == by_name_.end()) fail("expected tensor '", name, "', got none of that name");
  const TensorEntry& entry = tensors()[*at];
  if (out.size() != entry.bytes) {
    throw ShapeError(concat("read ", file_.path(), ": tensor '", name, "': expected room for ", entry.bytes,
                            " bytes, got ", out.size()));
  }
  read_exactly(data_begin_ + entry.begin, out);
  if (has_checksums() && crc32c(out) != checksums_[*at]) fail("tensor '", name, "' changed while the file was open");
}

void write_safetensors(const std::filesystem::path& path, std::vector<TensorData> tensors, Metadata metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorData& a, const TensorData& b) {
    return std::pair(size_of(b.dtype), std::string_view(a.name)) <
           std::pair(size_of(a.dtype), std::string_view(b.name));
  });
  std::string sums;
  for (const TensorData& t : tensors) sums += (sums.empty() ? "" : " ") + hex(crc32c(t.data));
  metadata[kFormatKey] = "1";
  metadata[kCrc32cKey] = sums;
  metadata[kSha256Key] = std::string(kDigestDigits, '0');

  std::string header;
  uint64_t data_bytes = 0;
  try {
    header = concat("{\"__metadata__\":", nlohmann::json(metadata).dump());
    for (const TensorData& t : tensors) {
      const uint64_t begin = std::exchange(data_bytes, data_bytes + t.data.size());
      header +=
          concat(',', nlohmann::json(t.name).dump(), ":{\"dtype\":\"", safetensors_name(t.dtype),
                 "\",\"shape\":", nlohmann::json(t.shape).dump(), ",\"data_offsets\":[", begin, ',', data_bytes, "]}");
    }
    header += '}';
    header.resize(round_up(static_cast<int64_t>(8 + header.size()), kDataAlignment) - 8, ' ');
    parse_safetensors_header(header, data_bytes);  // what is written can be read
  } catch (const nlohmann::json::exception&) {
    throw CheckpointError(concat("write ", path, ": a tensor name or metadata is not UTF-8"));
  } catch (const CheckpointError& error) {
    throw CheckpointError(concat("write ", path, ": ", error.what()));
  }

  AtomicFile file(path);
  const uint64_t header_bytes = header.size();
  file.reserve(8 + header_bytes + data_bytes);
  Sha256 sum;
  const auto append = [&](std::span<const std::byte> data) {
    sum.update(data);
    file.write(data);
  };
  append(std::as_bytes(std::span(&header_bytes, 1)));
  append(bytes_of(header));
  for (const TensorData& t : tensors) append(t.data);
  file.write_at(8 + digest_position(header), bytes_of(sum.hex_digest()));
  file.commit();
}

}  // namespace unet::engine
