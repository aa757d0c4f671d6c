#include "unet/model_library.h"

#include "kernels/error.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

namespace unet {
namespace {

namespace fs = std::filesystem;
using Facts = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("model library: facts are the rows of tables with two columns") {
  const char* card =
      "# Nuclei\n\n| | |\n|---|---|\n| for | bright nuclei: 8 to 100 px |\r\n|licence|CC0-1.0|\n\n"
      "| kind | images | SEG |\n|---|--:|--:|\n| small | 3 | 0.8 |\n\n| for | second |\n|\n||\n|a|";
  CHECK(card_facts(card) == Facts{{"for", "bright nuclei: 8 to 100 px"}, {"licence", "CC0-1.0"}});
  CHECK(card_facts("").empty());
}

TEST_CASE("model library: an installation, a source tree, or the folder chosen") {
  const test::TemporaryFolder folder;
  fs::create_directories(folder / "prefix/share/unet/models");
  CHECK(model_folder(folder / "prefix/bin/unet_infer", "") == folder / "prefix/share/unet/models");
  CHECK(model_folder(folder / "source/build/tools/unet_infer", "") == folder / "source/models");
  CHECK(model_folder(folder / "prefix/bin/unet_infer", "/mine") == "/mine");
}

TEST_CASE("model library: models by name, paths by themselves") {
  const test::TemporaryFolder folder;
  for (const char* file : {"lib/nuclei.safetensors", "lib/em.safetensors", "lib/README.md", "run/model.safetensors"}) {
    fs::create_directories((folder / file).parent_path());
    test::write_text(folder / file, "x");
  }
  test::write_text(folder / "lib/em.md", "| licence | CC-BY-4.0 |\n");
  const auto models = library_models(folder / "lib");
  REQUIRE(models.size() == 2);
  CHECK(models[0].name == "em");
  CHECK(models[0].card == Facts{{"licence", "CC-BY-4.0"}});
  CHECK(models[1].name == "nuclei");
  CHECK(models[1].card.empty());
  CHECK(library_models(folder / "missing").empty());

  const auto find = [&](const std::string& name) { return find_model(name, folder / "lib"); };
  CHECK(find("nuclei") == folder / "lib/nuclei.safetensors");
  CHECK(find((folder / "lib/em.safetensors").string()) == folder / "lib/em.safetensors");
  CHECK(find((folder / "run").string()) == folder / "run/model.safetensors");
  CHECK(find((folder / "lib").string()) == folder / "lib");  // a folder without model: the error is the loader's
  CHECK(find("missing.safetensors") == "missing.safetensors");
  CHECK(find("no/where") == "no/where");
  CHECK_THROWS_AS(find("nuclie"), ConfigError);
  CHECK_THROWS_WITH(find("nuclie"), Catch::Contains("(em, nuclei), got nuclie"));
  CHECK_THROWS_WITH(find_model("em", folder / "missing"), Catch::Contains("(none)"));
}

}  // namespace unet
