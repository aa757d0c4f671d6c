#include "unet/readable.h"

#include <cmath>
#include <limits>

#include "kernels/error.h"
#include "tests/catch.h"

namespace unet {

TEST_CASE("readable: numbers for people") {
  CHECK(number_text(0) == "0");
  CHECK(number_text(0.93921) == "0.9392");
  CHECK(number_text(0.0005, 3) == "0.0005");
  CHECK(number_text(1) == "1");
  CHECK(number_text(-2.5) == "-2.5");
  CHECK(number_text(123456) == "123,456");
  CHECK(number_text(-1234567, 15) == "-1,234,567");
  CHECK(number_text(1234.5, 5) == "1,234.5");
  CHECK(number_text(3.1e-5) == "3.1e-05");
  CHECK(number_text(1e20) == "1e+20");
  CHECK(number_text(std::nan("")) == "-");
  CHECK(number_text(-std::numeric_limits<double>::infinity()) == "-infinity");
}

TEST_CASE("readable: durations for people") {
  CHECK(duration_text(0) == "0.0 s");
  CHECK(duration_text(0.0654) == "65 ms");
  CHECK(duration_text(4.24) == "4.2 s");
  CHECK(duration_text(59) == "59 s");
  CHECK(duration_text(200) == "3 min 20 s");
  CHECK(duration_text(3725) == "1 h 02 min");
  CHECK(duration_text(std::nan("")) == "-");
}

TEST_CASE("readable: durations are read") {
  CHECK(parse_duration("90") == 90);
  CHECK(parse_duration("90s") == 90);
  CHECK(parse_duration("30m") == 1800);
  CHECK(parse_duration("1.5h") == 5400);
  CHECK(parse_duration("2d") == 172800);
  for (const char* bad : {"", "m", "-1m", "30  m", "30min", "inf", "nan", "1e999", "0x10"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_duration(bad), ConfigError);
  }
}

TEST_CASE("readable: sizes for people") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1,023 B");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(bytes_text(uint64_t{4} << 30) == "4 GiB");
  CHECK(bytes_text(~uint64_t{0}) == "16 EiB");
}

TEST_CASE("readable: sizes are read") {
  CHECK(parse_bytes("1024") == 1024);
  CHECK(parse_bytes("4GiB") == uint64_t{4} << 30);
  CHECK(parse_bytes("512 MiB") == uint64_t{512} << 20);
  CHECK(parse_bytes("2.5GB") == 2500000000);
  for (const char* bad : {"", "GiB", "-1GiB", "4gib", "4GiBs", "nan", "8388608TiB"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_bytes(bad), ConfigError);
  }
}

TEST_CASE("readable: edit distance") {
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("same", "same") == 0);
}

}  // namespace unet
