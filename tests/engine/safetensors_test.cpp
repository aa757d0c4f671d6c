#include "engine/safetensors.h"

#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <random>

#include "kernels/error.h"
#include "tests/catch.h"
#include "tests/engine/file_faults.h"
#include "tests/temporary_folder.h"

namespace unet::engine {
namespace {

using Catch::Matchers::Contains;
using test::read_text;
using test::TemporaryFolder;
using test::write_text;

/// A whole file: the header's length, the header, the data.
std::string file_of(const std::string& header, size_t data_bytes) {
  std::string text(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(text.data(), &length, 8);
  return text + header + std::string(data_bytes, '\1');
}

std::string repeated(const std::string& text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

template <class T>
TensorData tensor(const std::string& name, std::vector<int64_t> shape, const std::vector<T>& values) {
  return {name, DTypeOf<T>::value, std::move(shape), std::as_bytes(std::span(values))};
}

template <class T>
std::vector<T> read(const SafetensorsFile& file, const std::string& name) {
  std::vector<T> values(file.find(name)->bytes / sizeof(T));
  file.read(name, std::as_writable_bytes(std::span(values)));
  return values;
}

const std::vector<float> kSix{0.5F, -1.0F, 2.0F, 3.5F, -4.25F, 1e-38F};
const std::vector<double> kTwo{1.0 / 3, -2e300};
const std::vector<uint8_t> kBytes{0, 255, 7};
const std::vector<int32_t> kLabels{-1, 2147483647};
const std::vector<bf16> kHalves{bf16(1.5F), bf16(-0.25F)};

std::vector<TensorData> samples() {
  return {tensor("bytes", {3, 1}, kBytes), tensor("b/weight", {2, 3}, kSix), tensor("wide", {2}, kTwo),
          tensor("labels", {1, 1, 2}, kLabels), tensor("half \"quoted\" größer", {2, 1, 1, 1}, kHalves)};
}

TEST_CASE("safetensors: what is written comes back") {
  const TemporaryFolder folder;
  const Metadata metadata{{"step", "18446744073709551615"}, {"note", "line\nbreak \"quoted\" größer"}, {"empty", ""}};
  write_safetensors(folder / "a", samples(), metadata);

  const SafetensorsFile file(folder / "a");
  CHECK(file.has_checksums());
  for (const auto& [key, value] : metadata) CHECK(file.metadata().at(key) == value);
  CHECK(file.metadata().size() == metadata.size() + 3);
  REQUIRE(file.tensors().size() == 5);
  CHECK(file.find("b/weight")->type_text() == "f32 [2,3]");
  CHECK(file.find("half \"quoted\" größer")->shape == std::vector<int64_t>{2, 1, 1, 1});
  CHECK(read<uint8_t>(file, "bytes") == kBytes);
  CHECK(read<float>(file, "b/weight") == kSix);
  CHECK(read<double>(file, "wide") == kTwo);
  CHECK(read<int32_t>(file, "labels") == kLabels);
  CHECK(float{read<bf16>(file, "half \"quoted\" größer")[1]} == -0.25F);
  CHECK(folder.names() == std::set<std::string>{"a"});
}

TEST_CASE("safetensors: data lies at a multiple of 64, by falling element size and then name, however it is given") {
  const TemporaryFolder folder;
  std::vector<TensorData> backwards = samples();
  std::reverse(backwards.begin(), backwards.end());
  write_safetensors(folder / "a", samples());
  write_safetensors(folder / "b", backwards);
  const std::string text = read_text(folder / "a");
  CHECK(text == read_text(folder / "b"));

  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, text.data(), 8);
  CHECK((8 + header_bytes) % 64 == 0);
  CHECK(std::memcmp(text.data() + 8 + header_bytes, kTwo.data(), 16) == 0);

  std::string order;
  const SafetensorsFile file(folder / "a");
  for (const TensorEntry& t : file.tensors()) order += t.name.substr(0, 1);
  CHECK(order == "wblhb");
}

TEST_CASE("safetensors: the checksums are those of the format's description") {
  const TemporaryFolder folder;
  const std::string nine = "123456789";
  write_safetensors(folder / "a", {{"check", DType::u8, {9}, std::as_bytes(std::span(nine))}});
  CHECK(SafetensorsFile(folder / "a").metadata().at("unet.crc32c") == "e3069283");
  // By Python's hashlib.sha256 over the file with the 64 digits replaced by zeros.
  CHECK(SafetensorsFile(folder / "a").metadata().at("unet.sha256") ==
        "10b616518b1913ab699cff3366e4699b395ebec154d951d72ce250e3112079a1");
}

TEST_CASE("safetensors: an empty list and a list of scalars are files too") {
  const TemporaryFolder folder;
  write_safetensors(folder / "empty", {});
  CHECK(SafetensorsFile(folder / "empty").tensors().empty());
  write_safetensors(folder / "scalar", {tensor("x", {}, std::vector<float>{3})});
  CHECK(read<float>(SafetensorsFile(folder / "scalar"), "x") == std::vector<float>{3});
}

TEST_CASE("safetensors: a file written by the Python package is read") {
  const SafetensorsFile file(UNET_SOURCE_DIR "/tests/fixtures/foreign.safetensors");
  CHECK_FALSE(file.has_checksums());
  CHECK(file.metadata() == Metadata{{"format", "np"}, {"note", "größer\n"}});
  CHECK(file.tensors().size() == 6);
  CHECK(file.find("head.weight")->type_text() == "f32 [2,3]");
  CHECK(read<float>(file, "head.weight") == std::vector<float>{0, 0.25F, 0.5F, 0.75F, 1, 1.25F});
  CHECK(read<double>(file, "wide") == std::vector<double>{1.0 / 3, -2e300});
  CHECK(float{read<bf16>(file, "half")[0]} == 1.5F);
  CHECK(read<uint8_t>(file, "mask") == std::vector<uint8_t>{0, 255, 7});
  CHECK(read<int32_t>(file, "labels") == std::vector<int32_t>{-1, 2147483647});
  CHECK(file.find("scalar")->shape.empty());
  CHECK(read<float>(file, "scalar") == std::vector<float>{0.5F});
}

TEST_CASE("safetensors: every reason to reject a file is found and said") {
  const std::string a = R"("a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  const auto with_shape = [](const std::string& dtype, const std::string& shape, const std::string& end) {
    return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[0,)" + end + "]}}";
  };
  struct Case {
    std::string bytes, message;
  };
  const std::vector<Case> cases{
      {"", "at least 8 bytes, got 0"},
      {"\2\1\1", "at least 8 bytes, got 3"},
      {file_of("{}", 0).substr(0, 9), "a header of at most 1 bytes, got 2"},
      {std::string(8, '\xff') + "{}", "a header of at most 2 bytes, got 18446744073709551615"},
      {file_of("{" + std::string(kMaxHeaderBytes, ' ') + "}", 0), "a header of at most 16777216 bytes"},
      {file_of("", 0), "expected '{'"},
      {file_of(" {}", 0), "expected '{'"},
      {file_of("\xef\xbb\xbf{}", 0), "expected '{'"},
      {file_of("[]", 0), "expected '{'"},
      {file_of(std::string("{}\0{", 4), 0), "zero byte"},
      {file_of("{" + a, 4), "invalid JSON"},
      {file_of("{}{}", 0), "invalid JSON"},
      {file_of("{} x", 0), "invalid JSON"},
      {file_of("{/**/}", 0), "invalid JSON"},
      {file_of("{" + a + ",}", 4), "invalid JSON"},
      {file_of("{\"\xff\":{}}", 0), "invalid JSON"},
      {file_of("{\"a\nb\":{}}", 0), "invalid JSON"},
      {file_of(R"({"a":null})", 0), "unexpected null"},
      {file_of(R"({"a":true})", 0), "unexpected true or false"},
      {file_of(R"({"a":1})", 0), "unexpected number"},
      {file_of(R"({"a":"b"})", 0), "unexpected string"},
      {file_of(R"({"a":[1]})", 0), "unexpected array"},
      {file_of(R"({"a":{}})", 0), "expected dtype, shape and data_offsets"},
      {file_of(R"({"a":{"dtype":"U8","shape":[1]}})", 0), "expected dtype, shape and data_offsets"},
      {file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":"y"}})", 4), "unexpected string"},
      {file_of(R"({"a":{"dtype":"U8","shape":[4],"offsets":[0,4]}})", 4), "unexpected array"},
      {file_of(R"({"a":{"dtype":{},"shape":[4],"data_offsets":[0,4]}})", 4), "unexpected object"},
      {file_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4), "duplicate field"},
      {file_of("{" + a + "," + a + "}", 4), "duplicate tensor 'a'"},
      {file_of("{" + a + R"(,"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}})", 5), "duplicate tensor 'a'"},
      {file_of(R"({"__metadata__":{"k":"1","k":"2"}})", 0), "duplicate metadata key 'k'"},
      {file_of(R"({"__metadata__":{},"__metadata__":{}})", 0), "duplicate __metadata__"},
      {file_of(R"({"__metadata__":{"k":1}})", 0), "unexpected number in __metadata__"},
      {file_of(R"({"__metadata__":{"k":{}}})", 0), "unexpected object in __metadata__"},
      {file_of(R"({"__metadata__":{"k":["v"]}})", 0), "unexpected array in __metadata__"},
      {file_of(R"({"__metadata__":[]})", 0), "unexpected array in __metadata__"},
      {file_of(R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), "name of 1 to 255 bytes, got 0"},
      {file_of("{\"" + std::string(256, 'n') + "\":{}}", 0), "name of 1 to 255 bytes, got 256"},
      {file_of(R"({"a\u0000b":{}})", 0), "control character"},
      {file_of(R"({"\u001b[2J":{}})", 0), "control character"},
      {file_of(with_shape("F16", "[2]", "4"), 4), "F32, BF16, F64, U8 or I32, got 'F16'"},
      {file_of(with_shape("f32", "[1]", "4"), 4), "got 'f32'"},
      {file_of(with_shape("U8", "[1,1,1,1,1,1,1,1,1]", "1"), 1), "at most 8 sizes"},
      {file_of(with_shape("U8", "[0]", "0"), 0), "sizes above zero"},
      {file_of(with_shape("U8", "[-4]", "4"), 4), "unexpected negative number"},
      {file_of(with_shape("U8", "[4.0]", "4"), 4), "unexpected number"},
      {file_of(with_shape("U8", "[4e0]", "4"), 4), "unexpected number"},
      {file_of(with_shape("U8", "[18446744073709551616]", "4"), 4), "unexpected number"},
      {file_of(with_shape("U8", "[9223372036854775808]", "4"), 4), "below 2^63"},
      {file_of(with_shape("U8", "[[4]]", "4"), 4), "unexpected array"},
      {file_of(with_shape("U8", "[\"4\"]", "4"), 4), "unexpected string"},
      {file_of(with_shape("F32", "[4611686018427387904,2]", "8"), 8), "passes 2^64 bytes"},
      {file_of(with_shape("F32", "[4611686018427387905]", "4"), 4), "passes 2^64 bytes"},
      {file_of(with_shape("F32", "[2]", "4"), 4), "f32 [2] takes 8 bytes, its data_offsets give 4"},
      {file_of(with_shape("U8", "[4]", "4,4"), 4), "unexpected number"},
      {file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4]}})", 4), "two data_offsets, got 1"},
      {file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", 4), "run backwards"},
      {file_of("{" + a + R"(,"b":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}})", 6), "at byte 4, got 5"},
      {file_of("{" + a + R"(,"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", 5), "at byte 4, got 3"},
      {file_of("{" + a + R"(,"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4), "at byte 4, got 0"},
      {file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}})", 5), "at byte 0, got 1"},
      {file_of("{" + a + "}", 3), "expected 4 bytes of data"},
      {file_of("{" + a + "}", 5), "expected 4 bytes of data"},
      {file_of("{}", 1), "expected 0 bytes of data"},
      {file_of(R"({"a":{"a":{"a":{"a":{"a":0}}}}})", 0), "unexpected object"},
      {file_of("{\"a\":" + repeated("[", 1'000'000), 0), "unexpected array"},
      {file_of(R"({"__metadata__":{"unet.format":"1"}})", 0), "unet.crc32c is missing"},
      {file_of(R"({"__metadata__":{"unet.sha256":"1"}})", 0), "unet.format is missing"},
      {file_of(R"({"__metadata__":{"unet.format":"2"}})", 0), "a newer version may read it"},
      {file_of(R"({"__metadata__":{"unet.format":"1","unet.crc32c":""}})", 0), "unet.sha256 is missing"},
      {file_of(R"({"__metadata__":{"unet.format":"1","unet.crc32c":"00000000"}})", 0), "0 sums in unet.crc32c, got 1"},
      {file_of(R"({"__metadata__":{"unet.format":"1","unet.crc32c":"0x00000"},)" + a + "}", 4), "1 sums"},
      {file_of(R"({"__metadata__":{"unet.format":"1","unet.crc32c":"","unet.sha256":"0"}})", 0), "not 64 digits"},
  };
  const TemporaryFolder folder;
  for (const Case& c : cases) {
    INFO(c.bytes.substr(0, 200));
    write_text(folder / "a", c.bytes);
    CHECK_THROWS_AS(SafetensorsFile(folder / "a"), CheckpointError);
    CHECK_THROWS_WITH(SafetensorsFile(folder / "a"), Contains(c.message) && Contains((folder / "a").string()));
  }
}

TEST_CASE("safetensors: the number of tensors is bounded") {
  const auto header = [](size_t count) {
    std::string text = "{";
    for (size_t i = 0; i < count; ++i) {
      text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" +
              std::to_string(i) + "," + std::to_string(i + 1) + "]}";
    }
    return text + "}";
  };
  CHECK(parse_safetensors_header(header(kMaxTensors), kMaxTensors).tensors.size() == kMaxTensors);
  CHECK_THROWS_WITH(parse_safetensors_header(header(kMaxTensors + 1), kMaxTensors + 1), Contains("at most 65536"));
}

TEST_CASE("safetensors: what cannot be read as a file is an IoError") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(SafetensorsFile(folder / "missing"), IoError);
  CHECK_THROWS_AS(SafetensorsFile(folder.path()), IoError);
  CHECK_THROWS_AS(SafetensorsFile("/dev/zero"), IoError);
}

TEST_CASE("safetensors: every flipped bit is detected") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {tensor("x", {3, 2}, kSix), tensor("m", {3}, kBytes)}, {{"step", "12"}});
  const std::string good = read_text(folder / "a");
  REQUIRE_NOTHROW(SafetensorsFile(folder / "a"));
  std::fstream stream(folder / "a", std::ios::in | std::ios::out | std::ios::binary);
  const auto put = [&](size_t at, int byte) {
    stream.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(byte)).flush();
    REQUIRE(stream.good());
  };
  int missed = 0;
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      put(at, good[at] ^ (1 << bit));
      try {
        const SafetensorsFile file(folder / "a");
        ++missed;
      } catch (const CheckpointError&) {
      }
    }
    put(at, good[at]);
  }
  REQUIRE_NOTHROW(SafetensorsFile(folder / "a"));
  CHECK(missed == 0);
}

TEST_CASE("safetensors: every shortened and every prolonged file is detected") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", samples());
  const uint64_t whole = std::filesystem::file_size(folder / "a");
  std::filesystem::resize_file(folder / "a", whole + 1);
  CHECK_THROWS_AS(SafetensorsFile(folder / "a"), CheckpointError);
  for (uint64_t size = whole; size-- > 0;) {
    std::filesystem::resize_file(folder / "a", size);
    CHECK_THROWS_AS(SafetensorsFile(folder / "a"), CheckpointError);
  }
}

TEST_CASE("safetensors: the message names the damaged tensor") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {tensor("first", {2, 3}, kSix), tensor("second", {2}, kLabels)});
  const std::string good = read_text(folder / "a");
  std::string bad = good;
  bad[good.size() - 1] ^= 1;
  write_text(folder / "b", bad);
  CHECK_THROWS_WITH(SafetensorsFile(folder / "b"), Contains("damaged in tensor 'second'"));
  bad = good;
  bad[good.size() - 9] ^= 1;
  write_text(folder / "b", bad);
  CHECK_THROWS_WITH(SafetensorsFile(folder / "b"), Contains("damaged in tensor 'first'"));
  bad = good;
  bad[bad.find("first")] = 'F';
  write_text(folder / "b", bad);
  CHECK_THROWS_WITH(SafetensorsFile(folder / "b"), Contains("damaged in its header"));
}

TEST_CASE("safetensors: a file that changes under an open reader is detected") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", {tensor("x", {2, 3}, kSix)});
  const std::string good = read_text(folder / "a");
  const SafetensorsFile file(folder / "a");
  std::string bad = good;
  bad.back() ^= 1;
  write_text(folder / "a", bad);
  CHECK_THROWS_WITH(read<float>(file, "x"), Contains("'x' changed"));
  std::filesystem::resize_file(folder / "a", good.size() - 1);
  CHECK_THROWS_WITH(read<float>(file, "x"), Contains("got 23"));
}

TEST_CASE("safetensors: reading asks for a name that exists and room that fits") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", samples());
  const SafetensorsFile file(folder / "a");
  std::vector<std::byte> room(8);
  CHECK(file.find("b/weigh") == nullptr);
  CHECK_THROWS_AS(file.read("b/weigh", room), CheckpointError);
  CHECK_THROWS_WITH(file.read("labels", std::span(room).first(7)), Contains("expected room for 8 bytes, got 7"));
  CHECK_THROWS_AS(file.read("labels", std::span(room).first(7)), ShapeError);
  CHECK_NOTHROW(file.read("labels", room));
}

TEST_CASE("safetensors: what could not be read is not written") {
  const TemporaryFolder folder;
  const auto refuses = [&](std::vector<TensorData> tensors, const std::string& message, const Metadata& metadata = {}) {
    CHECK_THROWS_AS(write_safetensors(folder / "a", tensors, metadata), CheckpointError);
    CHECK_THROWS_WITH(write_safetensors(folder / "a", tensors, metadata), Contains(message));
    CHECK(folder.names().empty());
  };
  refuses({tensor("x", {2, 2}, kSix)}, "'x': f32 [2,2] takes 16 bytes, its data_offsets give 24");
  refuses({tensor("x", {2, 3}, kSix), tensor("x", {2}, kLabels)}, "duplicate tensor 'x'");
  refuses({tensor("__metadata__", {2, 3}, kSix)}, "duplicate __metadata__");
  refuses({tensor("", {2, 3}, kSix)}, "name of 1 to 255 bytes");
  refuses({tensor("tab\t", {2, 3}, kSix)}, "control character");
  refuses({tensor("\xff", {2, 3}, kSix)}, "not UTF-8");
  refuses({tensor("x", {-2, -3}, kSix)}, "unexpected negative number");
  refuses({tensor("x", {0}, std::vector<float>{})}, "sizes above zero");
  refuses({}, "not UTF-8", {{"key", "\xff"}});
}

TEST_CASE("safetensors: whichever system call of a save fails, a whole file loads") {
  for (const test::Fault fault : {test::Fault::once, test::Fault::for_ever}) {
    bool failed = true;
    for (int k = 1; failed; ++k) {
      const TemporaryFolder folder;
      write_safetensors(folder / "a", {tensor("x", {2}, kLabels)});
      failed = false;
      {
        const test::FileFaults faults(k, fault, EIO);
        try {
          write_safetensors(folder / "a", samples());
        } catch (const IoError&) {
          failed = true;
        }
      }
      INFO("call " << k);
      const size_t tensors = SafetensorsFile(folder / "a").tensors().size();
      CHECK((tensors == 5 || (failed && tensors == 1)));
      CHECK(folder.names() == std::set<std::string>{"a"});
      REQUIRE((failed || k > 8));  // all calls of a save were made to fail
    }
  }
}

TEST_CASE("safetensors: however little room the disk has, a whole file loads") {
  const TemporaryFolder folder;
  const std::vector<float> large(100'000, 0.5F);  // 400 kB, on disks of 8 kB to 808 kB
  int refused = 0, saved = 0;
  for (int room = 8'192; room <= 827'392; room += 40'960) {
    const std::string size = concat("size=", room);
    if (mount("unet_test", folder.path().c_str(), "tmpfs", 0, size.c_str()) != 0) {
      WARN("skipped: mounting a small file system takes root");
      return;
    }
    write_safetensors(folder / "a", {tensor("x", {2}, kLabels)});
    try {
      write_safetensors(folder / "a", {tensor("x", {100'000}, large)});
      ++saved;
      CHECK(read<float>(SafetensorsFile(folder / "a"), "x") == large);
    } catch (const IoError& error) {
      ++refused;
      CHECK_THAT(error.what(), Contains("No space left") && Contains("the file needs 400"));
      CHECK(read<int32_t>(SafetensorsFile(folder / "a"), "x") == kLabels);
    }
    CHECK(folder.names() == std::set<std::string>{"a"});
    REQUIRE(umount(folder.path().c_str()) == 0);
  }
  CHECK(refused > 5);
  CHECK(saved > 5);
}

TEST_CASE("safetensors: no mutation of a header gets past the rules") {
  const TemporaryFolder folder;
  write_safetensors(folder / "a", samples(), {{"step", "12"}});
  const std::string text = read_text(folder / "a");
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, text.data(), 8);
  const std::string good = text.substr(8, header_bytes);
  const uint64_t data_bytes = text.size() - 8 - header_bytes;

  std::mt19937_64 random(1);
  const std::string alphabet = "{}[]\",:0123456789-.eE\\u tnl\x01\x7f\x80\xff";
  int accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string bad = good;
    for (uint64_t edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t at = random() % bad.size();
      const char c = alphabet[random() % alphabet.size()];
      switch (random() % 3) {
        case 0:
          bad[at] = c;
          break;
        case 1:
          bad.insert(at, 1, c);
          break;
        default:
          bad.erase(at, 1 + random() % 3);
      }
    }
    try {
      uint64_t end = 0;
      for (const TensorEntry& t : parse_safetensors_header(bad, data_bytes).tensors) {
        uint64_t bytes = size_of(t.dtype);
        for (const int64_t size : t.shape) bytes *= static_cast<uint64_t>(size);
        REQUIRE(t.begin == end);
        REQUIRE(t.bytes == bytes);
        end += bytes;
      }
      REQUIRE(end == data_bytes);
      ++accepted;
    } catch (const CheckpointError&) {
    }
  }
  // Most edits inside strings and the padding are harmless, most others are not.
  CHECK(accepted > 1'000);
  CHECK(accepted < 40'000);
}

}  // namespace
}  // namespace unet::engine
