// unet_eval: compares predictions with the truth.
#include <algorithm>
#include <iomanip>
#include <iostream>

#include "tools/cli.h"
#include "unet/evaluation.h"
#include "unet/output_file.h"
#include "unet/readable.h"

namespace unet::tools {
namespace {

struct EvalOptions {
  CommonOptions common;
  std::vector<std::string> metrics{"all"};
  std::string truth, prediction, json;
  std::string labels = "auto";
  DataConfig data;
};

void add_options(CLI::App& app, EvalOptions& options) {
  app.add_option("--truth", options.truth, "True labels: a TIFF or PNG file, a folder or a quoted glob")
      ->required()
      ->type_name("PATH")
      ->group("Files");
  app.add_option("--prediction", options.prediction,
                 "Predictions, paired as images are with labels: probabilities, class values or instances")
      ->required()
      ->type_name("PATH")
      ->group("Files");
  app.add_option("--json", options.json, "Write the scores here, too")->type_name("FILE")->group("Files");
  app.add_option("--metric", options.metrics, "Scores, with commas: iou, dice, pixel, all")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"iou", "dice", "pixel", "all"}).description(""))
      ->type_name("NAME,...")
      ->default_str("all")
      ->group("Scores");
  app.add_option("--labels", options.labels, "What the true values mean")
      ->check(CLI::IsMember({"auto", "classes", "instances"}).description(""))
      ->type_name("auto|classes|instances")
      ->capture_default_str()
      ->group("Scores");
  app.add_option("--ignore", options.data.ignore, "True value of pixels that do not count [none]")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("VALUE")
      ->group("Scores");
  add_common_options(app, options.common);
  app.footer(
      "Example: how well a stack was segmented\n"
      "  unet_eval --truth labels.tif --prediction probability.tif --json scores.json\n\n"
      "Exit codes: 0 done, 2 usage, 3 data, 4 files, 5 memory.");
}

int eval(EvalOptions& options) {
  options.data.labels = parse_enum<LabelKind>("--labels", options.labels);
  std::vector<Metric> metrics;
  const auto wanted = [&](std::string_view name) {
    return std::find(options.metrics.begin(), options.metrics.end(), name) != options.metrics.end();
  };
  for (const Metric metric : {Metric::iou, Metric::dice, Metric::pixel}) {
    if (wanted("all") || wanted(name_of(metric))) metrics.push_back(metric);
  }

  const std::vector<PagePair> pages = pair_pages(list_pages(options.prediction), list_pages(options.truth));
  if (options.common.verbose) {
    for (const auto& [prediction, truth] : pages) std::cout << prediction.name() << "  <-  " << truth.name() << '\n';
  }
  const std::vector<Score> scores = evaluate(pages, options.data, metrics);
  if (!options.json.empty()) write_file(options.json, scores_json(scores, pages.size()));
  if (options.common.quiet) return kDone;
  std::cout << pages.size() << (pages.size() == 1 ? " page\n" : " pages\n");
  for (const auto& [name, value, comment] : scores) {
    std::cout << std::left << std::setw(18) << name << std::right << std::setw(10) << std::fixed << std::setprecision(6)
              << value << (comment.empty() ? "" : "   " + comment) << '\n';
  }
  return kDone;
}

}  // namespace
}  // namespace unet::tools

int main(int argc, char** argv) {
  using namespace unet::tools;
  CLI::App app("Compares segmentations with the truth.", "unet_eval");
  EvalOptions options;
  add_options(app, options);
  return run_program(app, argc, argv, [&] { return eval(options); });
}
