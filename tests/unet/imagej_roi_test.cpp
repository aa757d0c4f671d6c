#include "unet/imagej_roi.h"

#include "tests/catch.h"
#include "tests/unet/bytes.h"

namespace unet {
namespace {

using test::big;

const Outline kSquare{{20, 12}, {22, 12}, {22, 10}, {20, 10}};

/// A comb with so many teeth that its corners do not fit 16 bits.
Outline comb(int64_t teeth) {
  Outline outline;
  for (int64_t i = 0; i < teeth; ++i) {
    outline.push_back({2 * i, 5});
    outline.push_back({2 * i + 1, 5});
    outline.push_back({2 * i + 1, 4});
    outline.push_back({2 * i + 2, 4});
  }
  outline.push_back({2 * teeth, 3});
  outline.push_back({0, 3});
  return outline;
}

}  // namespace

TEST_CASE("roi: one outline becomes a traced ROI, byte by byte") {
  const std::string roi = encode_roi({.name = "0003-0007", .page = 2, .outlines = {kSquare}});
  const std::string header{
      "Iout"
      "\x00\xe4"
      "\x08\x00"          // version 228, traced
      "\x00\x14\x00\x0a"  // top 20, left 10
      "\x00\x16\x00\x0c"  // bottom 22, right 12
      "\x00\x04",         // corners
      18};
  CHECK(roi.substr(0, 18) == header);
  CHECK(roi.substr(18, 38) == std::string(38, '\0'));
  CHECK(big(roi, 56, 4) == 3);
  CHECK(big(roi, 60, 4) == 80);
  CHECK(roi.substr(64, 16) == std::string("\0\2\0\2\0\0\0\0\0\0\0\2\0\2\0\0", 16));
  CHECK(roi.substr(80, 16) == std::string(16, '\0'));
  CHECK(big(roi, 96, 4) == 144);
  CHECK(big(roi, 100, 4) == 9);
  CHECK(roi.substr(144) == std::string("\0"
                                       "0\0"
                                       "0\0"
                                       "0\0"
                                       "3\0"
                                       "-\0"
                                       "0\0"
                                       "0\0"
                                       "0\0"
                                       "7",
                                       18));
}

TEST_CASE("roi: position on a hyperstack") {
  const std::string roi =
      encode_roi({.name = "a", .page = 11, .slice = 3, .frame = 2, .is_hyperstack = true, .outlines = {kSquare}});
  CHECK(big(roi, 84, 4) == 1);
  CHECK(big(roi, 88, 4) == 4);
  CHECK(big(roi, 92, 4) == 3);
}

TEST_CASE("roi: holes, far corners and many corners become a composite ROI") {
  const Outline hole{{21, 11}, {21, 10}, {20, 10}, {20, 11}};
  const std::string roi = encode_roi({.name = "a", .outlines = {kSquare, hole}});
  CHECK(big(roi, 6, 2) == 0x0100);
  CHECK(big(roi, 16, 2) == 0);
  REQUIRE(big(roi, 36, 4) == 26);
  std::vector<float> path;
  for (size_t i = 0; i < 26; ++i) path.push_back(test::big_float(roi, 64 + 4 * i));
  CHECK(path == std::vector<float>{0, 12, 20, 1, 12, 22, 1, 10, 22, 1, 10, 20, 4,  //
                                   0, 11, 21, 1, 10, 21, 1, 10, 20, 1, 11, 20, 4});
  CHECK(big(roi, 60, 4) == 64 + 26 * 4);

  const Outline last{{0, 32767}, {1, 32767}, {1, 32766}, {0, 32766}}, far{{0, 32768}, {1, 32768}, {1, 5}, {0, 5}};
  CHECK(big(encode_roi({.name = "a", .outlines = {last}}), 6, 2) == 0x0800);
  const std::string wide = encode_roi({.name = "a", .outlines = {far}});
  CHECK(big(wide, 6, 2) == 0x0100);
  CHECK(test::big_float(wide, 68) == 32768);
  CHECK(big(encode_roi({.name = "a", .outlines = {comb(16383)}}), 6, 2) == 0x0800);
  CHECK(big(encode_roi({.name = "a", .outlines = {comb(16383)}}), 16, 2) == 65534);
  CHECK_THROWS_AS(encode_roi({.name = "a"}), ShapeError);
}

}  // namespace unet
