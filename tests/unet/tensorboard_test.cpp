#include "unet/tensorboard.h"

#include <cstring>

#include "engine/checksum.h"
#include "kernels/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

namespace unet {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

/// Payloads of an event file.
std::vector<std::string> records_of(const std::filesystem::path& path) {
  const std::string bytes = test::read_text(path);
  std::vector<std::string> payloads;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length = 0;
    REQUIRE(at + 12 <= bytes.size());
    std::memcpy(&length, bytes.data() + at, 8);
    REQUIRE(at + 16 + length <= bytes.size());
    payloads.push_back(bytes.substr(at + 12, length));
    CHECK(tensorboard_record(payloads.back()) == bytes.substr(at, 16 + length));
    at += 16 + length;
  }
  return payloads;
}

}  // namespace

// Golden bytes from a bitwise CRC-32C (check value 0xe3069283 for "123456789") and struct.pack in Python 3.11.
TEST_CASE("tensorboard: records are framed with lengths and masked checksums") {
  CHECK(hex(tensorboard_record("")) == "000000000000000029039807d8ea82a2");
  CHECK(hex(tensorboard_record(tensorboard_event(1.5, 300, {{"loss", 0.5}}))) ==
        "1b000000000000001a0d9e1309000000000000f83f10ac022a0d0a0b0a046c6f7373150000003f69f9315b");
}

TEST_CASE("tensorboard: a file starts with its version and the start of the session") {
  const test::TemporaryFolder folder;
  TensorBoardWriter writer(folder.path(), 7);
  writer.write(7, {{"loss/train", 2}, {"learning rate", 1e-3}});
  CHECK(writer.path().filename().string().find("events.out.tfevents.") == 0);
  const std::vector<std::string> records = records_of(writer.path());
  REQUIRE(records.size() == 3);
  CHECK(hex(records[0].substr(9)) ==
        "1000"
        "1a0d" +
            hex("brain.Event:2"));
  CHECK(hex(records[1].substr(9)) ==
        "1007"
        "3a02"
        "0801");
  CHECK(hex(records[2].substr(9)) ==
        "1007"
        "2a29"
        "0a11"
        "0a0a" +
            hex("loss/train") + "1500000040" +
            "0a14"
            "0a0d" +
            hex("learning rate") + "156f12833a");
}

TEST_CASE("tensorboard: a folder that is missing is an IoError") {
  CHECK_THROWS_AS(TensorBoardWriter("/nonexistent", 0), IoError);
}

}  // namespace unet
