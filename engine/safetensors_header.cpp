#include "engine/safetensors_header.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/error.h"

namespace unet::engine {
namespace {

constexpr std::array kDTypes{DType::f32, DType::bf16, DType::f64, DType::u8, DType::i32};

template <class... Parts>
[[noreturn]] void reject(const Parts&... parts) {
  throw CheckpointError(concat("safetensors header: ", parts...));
}

std::optional<DType> dtype_of(std::string_view name) {
  for (const DType dtype : kDTypes) {
    if (name == safetensors_name(dtype)) return dtype;
  }
  return std::nullopt;
}

void check_name(const std::string& name) {
  if (name.empty() || name.size() > kMaxNameBytes) {
    reject("expected a tensor name of 1 to ", kMaxNameBytes, " bytes, got ", name.size());
  }
  const auto is_control = [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; };
  if (std::any_of(name.begin(), name.end(), is_control)) reject("control character in a tensor name");
}

/// Receives the parser's events. The grammar has four levels, so a state takes the place of a stack:
/// {"__metadata__": {key: string}, name: {"dtype": string, "shape": [sizes], "data_offsets": [begin, end]}}.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    switch (state_) {
      case State::before:
        state_ = State::top;
        return true;
      case State::top:
        state_ = key_ == "__metadata__" ? State::metadata : State::tensor;
        return true;
      default:
        reject("unexpected object in ", where());
    }
  }

  bool key(string_t& key) override {
    key_ = std::move(key);
    switch (state_) {
      case State::metadata:
        if (!header_.metadata.emplace(key_, "").second) reject("duplicate metadata key '", key_.substr(0, 64), "'");
        break;
      case State::tensor:
        if (!fields_.emplace(key_, true).second) reject("duplicate field in ", where());
        break;
      default:
        if (key_ == "__metadata__") {
          if (std::exchange(has_metadata_, true)) reject("duplicate __metadata__");
          break;
        }
        check_name(key_);
        if (header_.tensors.size() == kMaxTensors) reject("expected at most ", kMaxTensors, " tensors, got more");
        header_.tensors.emplace_back().name = key_;
        fields_.clear();
        end_ = 0;
    }
    return true;
  }

  bool string(string_t& value) override {
    if (state_ == State::metadata) {
      header_.metadata[key_] = std::move(value);
      return true;
    }
    if (state_ != State::tensor || key_ != "dtype") reject("unexpected string in ", where());
    const auto dtype = dtype_of(value);
    if (!dtype) reject(where(), ": expected dtype F32, BF16, F64, U8 or I32, got '", value.substr(0, 16), "'");
    entry().dtype = *dtype;
    return true;
  }

  bool start_array(std::size_t) override {
    if (state_ == State::tensor && key_ == "shape") {
      state_ = State::shape;
    } else if (state_ == State::tensor && key_ == "data_offsets") {
      state_ = State::offsets;
      offsets_ = 0;
    } else {
      reject("unexpected array in ", where());
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::shape) {
      if (entry().shape.size() == kMaxRank) reject(where(), ": expected at most ", kMaxRank, " sizes, got more");
      if (value == 0 || value > INT64_MAX) reject(where(), ": expected sizes above zero and below 2^63, got ", value);
      entry().shape.push_back(static_cast<int64_t>(value));
    } else if (state_ == State::offsets && offsets_ < 2) {
      (offsets_++ == 0 ? entry().begin : end_) = value;
    } else {
      reject("unexpected number in ", where());
    }
    return true;
  }

  bool end_array() override {
    if (state_ == State::offsets) {
      if (offsets_ != 2) reject(where(), ": expected two data_offsets, got ", offsets_);
      if (end_ < entry().begin) reject(where(), ": data_offsets run backwards");
      entry().bytes = end_ - entry().begin;
    }
    state_ = State::tensor;
    return true;
  }

  bool end_object() override {
    if (state_ == State::tensor && (fields_.size() != 3 || !fields_.contains("dtype") || !fields_.contains("shape") ||
                                    !fields_.contains("data_offsets"))) {
      reject(where(), ": expected dtype, shape and data_offsets, and nothing else");
    }
    state_ = State::top;
    return true;
  }

  bool null() override { reject("unexpected null in ", where()); }
  bool boolean(bool) override { reject("unexpected true or false in ", where()); }
  bool number_integer(number_integer_t) override { reject("unexpected negative number in ", where()); }
  bool number_float(number_float_t, const string_t&) override { reject("unexpected number in ", where()); }
  bool binary(binary_t&) override { reject("unexpected binary value"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    reject("invalid JSON at byte ", position);
  }

 private:
  enum class State { before, top, metadata, tensor, shape, offsets };

  TensorEntry& entry() { return header_.tensors.back(); }
  std::string where() {
    if (state_ == State::metadata || (state_ == State::top && key_ == "__metadata__")) return "__metadata__";
    return header_.tensors.empty() ? "the top level" : concat("tensor '", entry().name, "'");
  }

  SafetensorsHeader header_;
  State state_ = State::before;
  std::string key_;                     // latest key of the current object
  std::map<std::string, bool> fields_;  // of the current tensor
  bool has_metadata_ = false;
  int offsets_ = 0;
  uint64_t end_ = 0;
};

/// Bytes of an entry's elements; nothing where they pass 2^64.
std::optional<uint64_t> checked_bytes(const TensorEntry& entry) {
  uint64_t bytes = size_of(entry.dtype);
  for (const int64_t size : entry.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes)) return std::nullopt;
  }
  return bytes;
}

void check_layout(std::vector<TensorEntry>& tensors, uint64_t data_bytes) {
  for (const TensorEntry& t : tensors) {
    const auto bytes = checked_bytes(t);
    if (!bytes) reject("tensor '", t.name, "': ", t.type_text(), " passes 2^64 bytes");
    if (*bytes != t.bytes) {
      reject("tensor '", t.name, "': ", t.type_text(), " takes ", *bytes, " bytes, its data_offsets give ", t.bytes);
    }
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
  uint64_t end = 0;
  for (const TensorEntry& t : tensors) {
    if (t.begin != end) reject("tensor '", t.name, "': expected its data at byte ", end, ", got ", t.begin);
    end += t.bytes;
  }
  if (end != data_bytes) reject("expected ", end, " bytes of data for its tensors, got ", data_bytes);
}

void check_unique(const std::vector<TensorEntry>& tensors) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const TensorEntry& t : tensors) names.push_back(t.name);
  std::sort(names.begin(), names.end());
  const auto twin = std::adjacent_find(names.begin(), names.end());
  if (twin != names.end()) reject("duplicate tensor '", *twin, "'");
}

}  // namespace

const char* safetensors_name(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return "BF16";
    case DType::f64:
      return "F64";
    case DType::u8:
      return "U8";
    case DType::i32:
      return "I32";
    case DType::f32:
      break;
  }
  return "F32";
}

std::string TensorEntry::type_text() const {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ",") + std::to_string(size);
  return concat(name_of(dtype), " [", text, "]");
}

SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes) {
  if (text.size() > kMaxHeaderBytes) reject("expected at most ", kMaxHeaderBytes, " bytes, got ", text.size());
  if (!text.starts_with('{')) reject("expected '{' as first byte");
  // The parser takes a zero byte for the end of its input and would not look at what follows.
  if (text.find('\0') != text.npos) reject("zero byte in the text");
  HeaderReader reader;
  nlohmann::json::sax_parse(text, &reader);
  SafetensorsHeader header = reader.take();
  check_unique(header.tensors);
  check_layout(header.tensors, data_bytes);
  return header;
}

}  // namespace unet::engine
