#include "unet/figures.h"

#include <algorithm>

#include "unet/figure_parts.h"
#include "unet/html.h"
#include "unet/output_file.h"

namespace unet {
namespace {

std::string label_text(const FigureSubject& subject) {
  const int64_t classes = subject.config.network.classes;
  return subject.info.labels == LabelKind::instances ? "instances: ids of objects, 0 is background"
                                                     : concat(classes, " classes");
}

std::string facts(const FigureSubject& subject) {
  const TrainingConfig& config = subject.config;
  const int64_t output = TileRule(static_cast<int>(config.network.depth)).output(config.tile.input);
  return render_facts(
      {{"page shown", concat(subject.page.name, ", ", size_text(subject.size), ", ", subject.page.image.channels,
                             subject.page.image.channels == 1 ? " channel" : " channels")},
       {"training pages", concat(subject.set.training.size())},
       {"labels", label_text(subject)},
       {"tile", concat(config.tile.input, " px in, ", output, " px out")},
       {"seed", concat(config.run.seed)},
       {"contrast", concat("gray values ", number(static_cast<double>(subject.black)), " to ",
                           number(static_cast<double>(subject.white)),
                           " of the range of the file's type are shown from black to white")}});
}

}  // namespace

std::string render_figures(const std::string& name, const TrainingSet& set, const TrainingConfig& config,
                           const ModelInfo& info) {
  const FigureSubject subject(set, config, info);
  std::string main = concat("<section><h2>What is shown</h2>", facts(subject), "</section>");
  for (const auto section : {label_section, separation_section, weight_section, elastic_section, placement_section,
                             gray_section, overlap_tile_section, sample_section, sampling_section}) {
    main += section(subject);
  }
  return render(
      HtmlPage{.title = name + " - figures",
               .header = concat("<h1>", escape_html(name),
                                "</h1><span class=\"reason\">what training does to these images, step by step</span>"),
               .main = std::move(main)});
}

void write_figures(const std::filesystem::path& path, const TrainingSet& set, const TrainingConfig& config,
                   const ModelInfo& info) {
  const std::string name = std::filesystem::absolute(path).lexically_normal().parent_path().filename().string();
  write_file(path, render_figures(name, set, config, info));
}

}  // namespace unet
