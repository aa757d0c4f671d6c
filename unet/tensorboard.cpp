#include "unet/tensorboard.h"

#include <unistd.h>

#include <bit>
#include <chrono>
#include <span>

#include "engine/checksum.h"
#include "kernels/error.h"

namespace unet {
namespace {

// Protocol buffer wire format: each field starts with (number << 3 | type).
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

template <class T>
void put_little_endian(std::string& out, T bits) {
  for (size_t i = 0; i < sizeof bits; ++i) out += static_cast<char>((bits >> (8 * i)) & 0xff);
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  out += static_cast<char>(value);
}

void put_key(std::string& out, uint32_t field, WireType type) { put_varint(out, field << 3 | type); }

void put_integer(std::string& out, uint32_t field, int64_t value) {
  put_key(out, field, kVarint);
  put_varint(out, static_cast<uint64_t>(value));
}

void put_bytes(std::string& out, uint32_t field, std::string_view bytes) {
  put_key(out, field, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

/// Event { wall_time = 1, step = 2 }; what happened follows as one more field.
std::string event_head(double wall_time, int64_t step) {
  std::string event;
  put_key(event, 1, kFixed64);
  put_little_endian(event, std::bit_cast<uint64_t>(wall_time));
  put_integer(event, 2, step);
  return event;
}

uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = engine::crc32c(std::as_bytes(std::span(bytes)));
  return std::rotr(crc, 15) + 0xa282ead8U;
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string tensorboard_record(std::string_view payload) {
  std::string record;
  put_little_endian(record, static_cast<uint64_t>(payload.size()));
  put_little_endian(record, masked_crc(record));
  record += payload;
  put_little_endian(record, masked_crc(payload));
  return record;
}

std::string tensorboard_event(double wall_time, int64_t step,
                              const std::vector<std::pair<std::string, double>>& scalars) {
  std::string summary;
  for (const auto& [tag, number] : scalars) {
    std::string value;  // Summary.Value { tag = 1, simple_value = 2 }
    put_bytes(value, 1, tag);
    put_key(value, 2, kFixed32);
    put_little_endian(value, std::bit_cast<uint32_t>(static_cast<float>(number)));
    put_bytes(summary, 1, value);
  }
  std::string event = event_head(wall_time, step);
  put_bytes(event, 5, summary);
  return event;
}

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& folder, int64_t first_step)
    : file_(folder / concat("events.out.tfevents.", static_cast<int64_t>(seconds_since_1970()), ".", getpid())) {
  std::string version = event_head(seconds_since_1970(), 0);
  put_bytes(version, 3, "brain.Event:2");
  std::string status;  // SessionLog { status = 1: START } voids events of earlier sessions from this step on
  put_integer(status, 1, 1);
  std::string start = event_head(seconds_since_1970(), first_step);
  put_bytes(start, 7, status);
  file_.append(tensorboard_record(version) + tensorboard_record(start));
}

void TensorBoardWriter::write(int64_t step, const std::vector<std::pair<std::string, double>>& scalars) {
  file_.append(tensorboard_record(tensorboard_event(seconds_since_1970(), step, scalars)));
}

}  // namespace unet
