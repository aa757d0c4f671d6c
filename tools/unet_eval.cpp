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
  std::string truth, prediction, pages, json;
  std::string labels = "auto", predicted = "auto";
  DataConfig data;
  EvaluationOptions evaluation;
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
  app.add_option("--pages", options.pages,
                 "Score these pages of the truth only, such as 0-4,10, counted over all its files; the predictions are "
                 "of just these pages or of all [all]")
      ->type_name("LIST")
      ->group("Files");
  app.add_option("--json", options.json, "Write the scores here, too")->type_name("FILE")->group("Files");
  app.add_option("--metric", options.metrics,
                 "Scores, with commas: isbi2012, seg, objects, iou, dice, pixel; all: those that suit the data")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"isbi2012", "seg", "objects", "iou", "dice", "pixel", "all"}).description(""))
      ->type_name("NAME,...")
      ->default_str("all")
      ->group("Scores");
  app.add_option("--labels", options.labels, "What the true values mean")
      ->check(CLI::IsMember({"auto", "classes", "instances"}).description(""))
      ->type_name("auto|classes|instances")
      ->capture_default_str()
      ->group("Scores");
  app.add_option("--predicted", options.predicted,
                 "What the predictions hold; auto: floating-point values are probabilities, integers against instances "
                 "are ids, others classes if the truth has all their values, else probabilities of up to 255 or 65535")
      ->check(CLI::IsMember({"auto", "probabilities", "classes", "instances"}).description(""))
      ->type_name("auto|probabilities|classes|instances")
      ->capture_default_str()
      ->group("Scores");
  app.add_option("--background", options.data.background,
                 "Of classes, the true value of what lies between objects [the smallest]")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("VALUE")
      ->group("Scores");
  app.add_option("--ignore", options.data.ignore, "True value of pixels that do not count [none]")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("VALUE")
      ->group("Scores");
  app.add_option(
         "--margin", options.evaluation.margin_px,
         "seg: predicted objects wholly nearer to a side of the image do not count; the Cell Tracking Challenge "
         "takes 50 for DIC-C2DH-HeLa and PhC-C2DH-U373, 25 for PhC-C2DL-PSC")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("PX")
      ->capture_default_str()
      ->group("Scores");
  add_common_options(app, options.common);
  app.footer(
      "Example: how well a stack of membranes was segmented\n"
      "  unet_eval --metric isbi2012 --truth labels.tif --prediction probability.tif --json scores.json\n"
      "Example: pages that were held back in training\n"
      "  unet_infer --model run/model.safetensors --input stack.tif --pages 20-24 --output p.tif\n"
      "  unet_eval --truth labels.tif --pages 20-24 --prediction p.tif\n"
      "Example: cells, of which some frames have truth\n"
      "  unet_eval --metric seg --margin 50 --truth 01_GT/SEG --prediction 01_RES\n\n"
      "Exit codes: 0 done, 2 usage, 3 data, 4 files, 5 memory.");
}

int eval(EvalOptions& options) {
  options.data.labels = parse_enum<LabelKind>("--labels", options.labels);
  options.evaluation.predictions = parse_enum<PredictionKind>("--predicted", options.predicted);
  const auto wants = [&](std::string_view name) {
    return std::find(options.metrics.begin(), options.metrics.end(), name) != options.metrics.end();
  };
  for (const std::string& name : options.metrics) {
    if (!wants("all")) options.evaluation.metrics.push_back(parse_enum<Metric>("--metric", name));
  }

  const std::vector<InputPage> predictions = list_pages(options.prediction);
  const std::vector<InputPage> true_pages = list_pages(options.truth);
  const Unlabelled unlabelled = wants("seg") ? Unlabelled::left_out : Unlabelled::refused;
  const std::vector<PagePair> pages = options.pages.empty()
                                          ? pair_pages(predictions, true_pages, unlabelled)
                                          : pair_chosen_pages(predictions, true_pages, options.pages, unlabelled);
  if (options.common.verbose) {
    for (const auto& [prediction, truth] : pages) std::cout << prediction.name() << "  <-  " << truth.name() << '\n';
  }
  const auto [kind, scores] = evaluate(pages, options.data, options.evaluation);
  if (!options.json.empty()) write_file(options.json, scores_json(scores, pages.size()));
  if (options.common.quiet) return kDone;
  std::cout << pages.size() << (pages.size() == 1 ? " page" : " pages");
  if (pages.size() < predictions.size()) std::cout << " of " << predictions.size() << " predicted";
  if (pages.size() < true_pages.size()) std::cout << ", of " << true_pages.size() << " with truth";
  std::cout << "; the predictions are " << name_of(kind) << '\n';
  for (const Score& score : scores) {
    const std::string remark = score.remark();
    std::cout << std::left << std::setw(22) << score.name << std::right << std::setw(10) << std::fixed
              << std::setprecision(6) << score.value << (remark.empty() ? "" : "   " + remark) << '\n';
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
