// make_synthetic_data: images and labels to try the programs on.
#include <iostream>

#include "tools/cli.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "unet/image_writer.h"
#include "unet/readable.h"
#include "unet/synthetic.h"

namespace unet::tools {
namespace {

struct Options {
  CommonOptions common;
  std::string kind, images, labels;
  int64_t pages = 30, first_page = 0, height = 512, width = 512;
};

void add_options(CLI::App& app, Options& options) {
  app.add_option("--kind", options.kind,
                 "What they show: nerve tissue with membranes (classes) or a culture of cells (instances)")
      ->required()
      ->check(CLI::IsMember({"membranes", "cells"}).description(""))
      ->type_name("membranes|cells")
      ->group("Data");
  app.add_option("--images", options.images, "TIFF file for the images, 8 bits")
      ->required()
      ->type_name("FILE")
      ->group("Data");
  app.add_option("--labels", options.labels, "TIFF file for the labels: 8 bits for membranes, 16 bits for cells")
      ->required()
      ->type_name("FILE")
      ->group("Data");
  const auto number = [&app](const char* name, int64_t& value, int64_t smallest, const char* text) {
    app.add_option(name, value, text)
        ->check(CLI::Range(smallest, int64_t{1} << 30).description(""))
        ->type_name("N")
        ->capture_default_str()
        ->group("Data");
  };
  number("--pages", options.pages, 1, "Pages");
  number("--first-page", options.first_page, 0, "Number of the first page: others of one seed show other places");
  number("--height", options.height, 1, "Rows of a page, px");
  number("--width", options.width, 1, "Columns of a page, px");
  add_seed_option(app, options.common);
  add_program_options(app, options.common);
  app.footer(
      "Example: 20 pages to train on, and 5 others to test\n"
      "  make_synthetic_data --kind membranes --pages 20 --images train.tif --labels labels.tif\n"
      "  make_synthetic_data --kind membranes --pages 5 --first-page 40 --images test.tif --labels truth.tif");
}

int make_data(const Options& options) {
  catch_stop_signals();
  const bool membranes = options.kind == "membranes";
  const auto make_page = membranes ? synthetic_membranes : synthetic_cells;
  const uint64_t seed = options.common.has_seed ? static_cast<uint64_t>(options.common.seed) : 1;
  WriterOptions file{
      .pages = options.pages, .height = options.height, .width = options.width, .type = kUint8, .metadata = {}};
  ImageWriter images(options.images, file);
  file.type = membranes ? kUint8 : kUint16;
  ImageWriter labels(options.labels, file);
  Progress progress(Progress::standard_error(options.common.quiet));
  for (int64_t page = 0; page < options.pages; ++page) {
    throw_if_stopped();
    const SyntheticPage made = make_page(options.height, options.width, seed, options.first_page + page);
    images.write_rows(made.image);
    labels.write_rows(made.labels);
    progress.update(static_cast<double>(page + 1) / static_cast<double>(options.pages), concat("page ", page + 1));
  }
  images.commit();
  labels.commit();
  progress.clear();
  if (!options.common.quiet) {
    std::cout << options.images << ", " << options.labels << ": " << options.pages << " pages [" << options.height
              << ',' << options.width << "]\n";
  }
  return kDone;
}

}  // namespace
}  // namespace unet::tools

int main(int argc, char** argv) {
  using namespace unet::tools;
  CLI::App app("Makes synthetic microscopy images with labels, to try the programs on.", "make_synthetic_data");
  Options options;
  add_options(app, options);
  return run_program(app, argc, argv, [&] { return make_data(options); });
}
