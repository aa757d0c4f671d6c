#include "engine/checksum.h"

#include <string>
#include <string_view>

#include "tests/catch.h"

namespace unet::engine {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string sha256(std::string_view text) {
  Sha256 sum;
  sum.update(bytes_of(text));
  return sum.hex_digest();
}

TEST_CASE("checksum: CRC-32C of RFC 3720's examples") {
  CHECK(crc32c({}) == 0);
  CHECK(crc32c(bytes_of("123456789")) == 0xe3069283);
  CHECK(crc32c(bytes_of(std::string(32, '\0'))) == 0x8a9136aa);
  CHECK(crc32c(bytes_of(std::string(32, '\xff'))) == 0x62a8ab43);
  std::string rising, falling;
  for (char i = 0; i < 32; ++i) rising += i, falling += static_cast<char>(31 - i);
  CHECK(crc32c(bytes_of(rising)) == 0x46dd794e);
  CHECK(crc32c(bytes_of(falling)) == 0x113fdb5c);
}

TEST_CASE("checksum: CRC-32C continues, whatever the pieces") {
  const std::string text = "The quick brown fox jumps over the lazy dog";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const auto all = bytes_of(text);
    CHECK(crc32c(all.subspan(cut), crc32c(all.first(cut))) == 0x22620404);
  }
}

TEST_CASE("checksum: SHA-256 of FIPS 180's examples") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("checksum: SHA-256 does not depend on the pieces, at any length around a block") {
  for (const size_t length : {0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 200}) {
    const std::string text(length, 'x');
    const std::string whole = sha256(text);
    for (size_t cut = 0; cut <= length; ++cut) {
      Sha256 sum;
      sum.update(bytes_of(text).first(cut));
      const std::string early = sum.hex_digest();  // taking a digest does not disturb the sum
      CHECK(early == sha256(text.substr(0, cut)));
      sum.update(bytes_of(text).subspan(cut));
      CHECK(sum.hex_digest() == whole);
    }
  }
}

}  // namespace
}  // namespace unet::engine
