#include "unet/page_list.h"

#include "kernels/error.h"
#include "tests/catch.h"

namespace unet {
namespace {

using Catch::Contains;
using Pages = std::vector<int64_t>;

Pages parse(std::string_view list) { return parse_page_list("--pages", list, 30); }

}  // namespace

TEST_CASE("a page list is numbers and ranges with both ends, ascending and each once") {
  CHECK(parse("7") == Pages{7});
  CHECK(parse("0-4,10") == Pages{0, 1, 2, 3, 4, 10});
  CHECK(parse("29") == Pages{29});
  CHECK(parse("10,3, 0 - 2 ,1-3,3") == Pages{0, 1, 2, 3, 10});
  CHECK(parse("5-5") == Pages{5});
  CHECK(parse("007") == Pages{7});
  CHECK(parse("0-29").size() == 30);
}

TEST_CASE("what is no page list is refused with what was expected") {
  for (const char* text : {"", " ", ",", "1,", ",1", "1,,2", "a", "1-", "-1", "--1", "1-2-3", "1.5", "+1", "0x3", "1 2",
                           "1;2", "99999999999999999999"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse(text), ConfigError);
    CHECK_THROWS_WITH(parse(text), Contains("--pages: expected page numbers from 0 and ranges such as 0-4,10") &&
                                       Contains("\"" + std::string(text) + "\""));
  }
  CHECK_THROWS_WITH(parse("1,8-3"), "--pages: expected ranges from the lower to the higher page, got 8-3");
}

TEST_CASE("a page that does not exist is refused, whatever the size of the range") {
  CHECK_THROWS_WITH(parse("3,30"), "--pages: expected pages 0 to 29, got 30");
  CHECK_THROWS_WITH(parse("0-9223372036854775807"), Contains("pages 0 to 29"));
  CHECK_THROWS_AS(parse_page_list("--pages", "0", 0), ConfigError);
}

}  // namespace unet
