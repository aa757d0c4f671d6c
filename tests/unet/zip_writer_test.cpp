#include "unet/zip_writer.h"

#include "kernels/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/bytes.h"

namespace unet {

TEST_CASE("zip: entries come back by an independent reader") {
  const test::TemporaryFolder folder;
  const auto path = folder / "a.zip";
  const std::string noise = [] {
    std::string s;
    for (uint32_t i = 0, v = 1; i < 100'000; ++i) s.push_back(static_cast<char>((v = v * 1664525 + 1013904223) >> 24));
    return s;
  }();
  ZipWriter zip(path);
  zip.add("digits.txt", "123456789");
  zip.add("empty", "");
  zip.add("noise.bin", noise);
  CHECK_FALSE(std::filesystem::exists(path));
  zip.commit();

  const std::string file = test::read_text(path);
  const std::map<std::string, std::string> expected{{"digits.txt", "123456789"}, {"empty", ""}, {"noise.bin", noise}};
  CHECK(test::unzip(file) == expected);
  CHECK(test::little(file, 14, 4) == 0xcbf43926);  // the check value of CRC-32

  std::string damaged = file;
  damaged[45] ^= 1;
  CHECK_THROWS(test::unzip(damaged));
}

TEST_CASE("zip: without entries, without commit, with too many entries") {
  const test::TemporaryFolder folder;
  ZipWriter(folder / "none.zip").commit();
  CHECK(test::read_text(folder / "none.zip").size() == 22);
  CHECK(test::unzip(test::read_text(folder / "none.zip")).empty());
  { ZipWriter(folder / "dropped.zip").add("a", "b"); }
  CHECK_FALSE(std::filesystem::exists(folder / "dropped.zip"));

  ZipWriter full(folder / "full.zip");
  for (int i = 0; i < 65535; ++i) full.add("n", "");
  CHECK_THROWS_AS(full.add("n", ""), DataError);
  CHECK_THROWS_AS(ZipWriter(folder / "nowhere/a.zip"), IoError);
}

}  // namespace unet
