#include "unet/inputs.h"

#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "tests/unet/tiff_support.h"
#include "unet/image_writer.h"

namespace unet {
namespace {

using Catch::Contains;
using test::TemporaryFolder;
using test::write_tiff;

class Inputs : public TemporaryFolder {
 public:
  void add(const std::string& name, int height = 4, int width = 5, int pages = 1) const {
    std::filesystem::create_directories((*this / name).parent_path());
    write_tiff(*this / name, {.pages = pages, .height = height, .width = width});
  }
  std::string text(const std::string& name) const { return (*this / name).string(); }

  /// "image>label" of every pair, relative to this folder.
  std::vector<std::string> pairs(const std::string& images, const std::string& labels) const {
    std::vector<std::string> out;
    for (const PagePair& pair : pair_pages(list_pages(text(images)), list_pages(text(labels)))) {
      out.push_back(relative(pair.image) + ">" + relative(pair.label));
    }
    return out;
  }

 private:
  std::string relative(const InputPage& page) const { return page.name().substr(path().string().size() + 1); }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a path is a file, a folder or a glob") {
  const Inputs inputs;
  for (const char* name : {"a10.tif", "a2.tif", "b.TIFF", ".hidden.tif", "[1].tif"}) inputs.add(name);
  test::write_text(inputs / "notes.txt", "no image");
  std::filesystem::create_directory(inputs / "folder.tif");
  const auto names = [&](const std::string& path) {
    Names out;
    for (const auto& file : list_image_files(path)) out.push_back(file.filename().string());
    return out;
  };
  CHECK(names(inputs.path().string()) == Names{"[1].tif", "a2.tif", "a10.tif", "b.TIFF"});
  CHECK(names(inputs.text("a*.tif")) == Names{"a2.tif", "a10.tif"});
  CHECK(names(inputs.text("{b,a2}.*")) == Names{"a2.tif", "b.TIFF"});
  CHECK(names(inputs.text("a2.tif")) == Names{"a2.tif"});
  CHECK(names(inputs.text("[1].tif")) == Names{"[1].tif"});
  CHECK_THROWS_AS(list_image_files(inputs.text("c*.tif")), DataError);
  CHECK_THROWS_AS(list_image_files(inputs.text("folder.tif")), DataError);
  CHECK_THROWS_AS(list_image_files(inputs.text("missing.tif")), IoError);
  CHECK_THROWS_AS(list_image_files("/dev/null"), IoError);
}

TEST_CASE("two stacks pair by page") {
  const Inputs inputs;
  inputs.add("images.tif", 4, 5, 2);
  inputs.add("truth.tif", 4, 5, 2);
  CHECK(inputs.pairs("images.tif", "truth.tif") ==
        Names{"images.tif, page 0>truth.tif, page 0", "images.tif, page 1>truth.tif, page 1"});
  inputs.add("short.tif", 4, 5, 1);
  CHECK_THROWS_WITH(inputs.pairs("images.tif", "short.tif"),
                    Contains("images.tif has 2") && Contains("short.tif has 1"));
}

TEST_CASE("files pair by name, with what people add to the names of masks") {
  struct Case {
    Names images, labels;  // in the order of their pairs
  };
  const std::vector<Case> cases = {
      {{"a", "b"}, {"a", "b"}},
      {{"a", "b"}, {"a_mask", "b_mask"}},
      {{"1", "2", "11"}, {"1_mask", "2_mask", "11_mask"}},
      {{"t002", "t005", "t021"}, {"man_seg002", "man_seg005", "man_seg021"}},
      {{"t002", "t005"}, {"man_seg002", "man_seg005"}},
      {{"case1_0000", "case2_0000"}, {"case1", "case2"}},
      {{"img_1_raw", "img_2_raw"}, {"img_1_seg", "img_2_seg"}},
      {{"s1/image", "s2/image"}, {"s1/mask", "s2/mask"}},
      {{"a.b", "a.c"}, {"a.b", "a.c"}},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    const Inputs inputs;
    Names expected;
    for (size_t j = 0; j < cases[i].images.size(); ++j) {
      inputs.add("images/" + cases[i].images[j] + ".tif");
      inputs.add("labels/" + cases[i].labels[j] + ".tif");
      expected.push_back("images/" + cases[i].images[j] + ".tif>labels/" + cases[i].labels[j] + ".tif");
    }
    CAPTURE(i);
    const std::string all = cases[i].images[0].find('/') == std::string::npos ? "" : "/*/*.tif";
    CHECK(inputs.pairs("images" + all, "labels" + all) == expected);
  }
}

TEST_CASE("images and labels in one folder, told apart by globs") {
  const Inputs inputs;
  for (const char* name : {"a.tif", "b.tif", "a_mask.tif", "b_mask.tif"}) inputs.add(name);
  CHECK(inputs.pairs("?.tif", "*_mask.tif") == Names{"a.tif>a_mask.tif", "b.tif>b_mask.tif"});
}

TEST_CASE("every file without a partner is named") {
  const Inputs inputs;
  for (const char* name : {"i/1.tif", "i/2.tif", "i/3.tif", "l/11_mask.tif", "l/2_mask.tif", "l/3_mask.tif"})
    inputs.add(name);
  CHECK_THROWS_AS(inputs.pairs("i", "l"), DataError);
  CHECK_THROWS_WITH(inputs.pairs("i", "l"), Contains("no labels for " + inputs.text("i/1.tif") + ";") &&
                                                Contains("no images for " + inputs.text("l/11_mask.tif") + ";") &&
                                                !Contains("2.tif") && !Contains("3.tif"));
  const Inputs none;
  for (const char* name : {"i/a.tif", "i/b.tif", "l/x.tif", "l/y.tif"}) none.add(name);
  CHECK_THROWS_WITH(none.pairs("i", "l"),
                    Contains("a.tif") && Contains("b.tif") && Contains("x.tif") && Contains("y.tif"));
}

TEST_CASE("images without labels can be left out, labels without images never") {
  const Inputs inputs;
  for (const char* name : {"r/mask002.tif", "r/mask003.tif", "r/mask010.tif", "l/man_seg002.tif", "l/man_seg010.tif"}) {
    inputs.add(name);
  }
  const auto pair = [&](const char* images, const char* labels) {
    return pair_pages(list_pages(inputs.text(images)), list_pages(inputs.text(labels)), Unlabelled::left_out);
  };
  const std::vector<PagePair> pairs = pair("r", "l");
  REQUIRE(pairs.size() == 2);
  CHECK(pairs[1].image.file.filename() == "mask010.tif");
  CHECK(pairs[1].label.file.filename() == "man_seg010.tif");
  CHECK_THROWS_WITH(pair("l", "r"), Contains("no images for " + inputs.text("r/mask003.tif")));
}

TEST_CASE("messages call the sides what they are") {
  const Inputs inputs;
  for (const char* name : {"m/track1.tif", "m/track2.tif", "i/t1.tif", "i/t3.tif"}) inputs.add(name);
  CHECK_THROWS_WITH(pair_pages(list_pages(inputs.text("m")), list_pages(inputs.text("i")), Unlabelled::left_out,
                               {.images = "markers", .labels = "images", .advice = "mark them"}),
                    "pair markers and images: no markers for " + inputs.text("i/t3.tif") + "; mark them");
}

TEST_CASE("chosen pages of the truth pair with predictions of just these pages or of all") {
  const Inputs inputs;
  inputs.add("truth.tif", 4, 5, 6);
  inputs.add("all.tif", 4, 5, 6);
  inputs.add("three.tif", 4, 5, 3);
  inputs.add("four.tif", 4, 5, 4);
  const auto pair = [&](const std::string& predictions, const std::string& truth, const char* list) {
    std::vector<std::pair<std::string, std::string>> names;
    for (const auto& [image, label] :
         pair_chosen_pages(list_pages(inputs.text(predictions)), list_pages(inputs.text(truth)), list)) {
      names.emplace_back(image.file.stem().string() + std::to_string(image.page),
                         label.file.stem().string() + std::to_string(label.page));
    }
    return names;
  };
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  CHECK(pair("all.tif", "truth.tif", "1,3-4") == Pairs{{"all1", "truth1"}, {"all3", "truth3"}, {"all4", "truth4"}});
  CHECK(pair("three.tif", "truth.tif", "1,3-4") ==
        Pairs{{"three0", "truth1"}, {"three1", "truth3"}, {"three2", "truth4"}});
  CHECK_THROWS_WITH(pair("four.tif", "truth.tif", "1,3-4"),
                    Contains("the 3 chosen pages or of all 6") && Contains("got 4"));
  CHECK_THROWS_WITH(pair("all.tif", "truth.tif", "6"), Contains("--pages: expected pages 0 to 5"));

  for (const char* name : {"l/c0.tif", "l/c1.tif", "l/c2.tif", "p/c0_p.tif", "p/c1_p.tif", "p/c2_p.tif", "q/c1_p.tif",
                           "q/c2_p.tif", "wrong/c0_p.tif", "wrong/c2_p.tif"}) {
    inputs.add(name);
  }
  const Pairs last{{"c1_p0", "c10"}, {"c2_p0", "c20"}};
  CHECK(pair("p", "l", "1-2") == last);
  CHECK(pair("q", "l", "1-2") == last);
  CHECK_THROWS_WITH(pair("wrong", "l", "1-2"), Contains("no images for " + inputs.text("l/c1.tif")));
}

TEST_CASE("pairs of different size or number of pages name both files") {
  const Inputs inputs;
  inputs.add("i/a.tif", 4, 5);
  inputs.add("i/b.tif", 4, 5);
  inputs.add("l/a.tif", 4, 5);
  inputs.add("l/b.tif", 5, 4);
  CHECK_THROWS_WITH(inputs.pairs("i", "l"), Contains("i/b.tif has 4 x 5") && Contains("l/b.tif has 5 x 4"));
  inputs.add("l/b.tif", 4, 5, 3);
  CHECK_THROWS_WITH(inputs.pairs("i", "l"), Contains("i/b.tif has 1") && Contains("l/b.tif has 3"));
}

TEST_CASE("two files of one name on a side are ambiguous") {
  const Inputs inputs;
  for (const char* name : {"i/a.tif", "i/a.tiff", "l/a.tif", "l/b.tif"}) inputs.add(name);
  CHECK_THROWS_WITH(inputs.pairs("i", "l"), Contains("a.tif and") && Contains("same name"));
}

}  // namespace unet
