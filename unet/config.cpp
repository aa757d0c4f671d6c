#include "unet/config.h"

#include <algorithm>
#include <type_traits>

#include "unet/config_fields.h"
#include "unet/embedded_text.h"
#include "unet/page_list.h"
#include "unet/tile.h"

namespace unet {
namespace {

template <class Number>
void require_range(std::string_view key, Number value, Range range) {
  const auto number = static_cast<double>(value);
  if (!(number >= range.low && number <= range.high)) {  // also refuses NaN
    throw ConfigError(concat(key, ": expected ", range.low, " .. ", range.high, ", got ", value));
  }
}

void validate_tile(int64_t input, int64_t depth) {
  const TileRule rule(static_cast<int>(depth));
  if (rule.is_valid(input)) return;
  const int64_t smallest = rule.smallest_input();
  const int64_t below = input - (input - smallest) % rule.step();
  throw ConfigError(concat("tile.input: a network of depth ", depth, " takes ", smallest, ", ", smallest + rule.step(),
                           ", ", smallest + 2 * rule.step(), ", ... px, got ", input, "; use ",
                           input < smallest ? concat(smallest) : concat(below, " or ", below + rule.step())));
}

}  // namespace

double ScheduleConfig::factor(int64_t step, double fraction_done) const {
  double factor = step < warmup ? static_cast<double>(step + 1) / static_cast<double>(warmup) : 1.0;
  for (const double milestone : decay_at) {
    if (fraction_done >= milestone) factor *= decay;
  }
  return factor;
}

void TrainingConfig::validate() const {
  visit_fields(*this, [](std::string_view key, const auto& value, Range range) {
    using Value = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, std::vector<double>>) {
      for (const double number : value) require_range(key, number, range);
    } else if constexpr (std::is_arithmetic_v<Value>) {
      require_range(key, value, range);
    }
  });
  NetworkConfig built = network;  // 0 stands for what the data will say
  if (built.in_channels == 0) built.in_channels = 1;
  if (built.classes == 0) built.classes = 2;
  built.validate();
  validate_tile(tile.input, network.depth);
  if (data.connectivity != 4 && data.connectivity != 8) {
    throw ConfigError(concat("data.connectivity: expected 4 or 8, got ", data.connectivity));
  }
  if (!data.validation_pages.empty()) {
    constexpr int64_t kMost = 1'000'000;  // the data will say how many pages there are
    parse_page_list("data.validation_pages", data.validation_pages, kMost);
  }
  if (!std::is_sorted(schedule.decay_at.begin(), schedule.decay_at.end())) {
    throw ConfigError("schedule.decay_at: expected ascending fractions of the run; sort them");
  }
  if (run.select == Selection::latest && run.early_stop > 0) {
    throw ConfigError(
        concat("run.early_stop: expected 0 with run.select = latest, which calls no model the best one, got ",
               run.early_stop, "; select by loss or iou"));
  }
}

std::vector<std::string_view> preset_names() {
  std::vector<std::string_view> names;
  for (const auto& [file, text] : kPresets) names.push_back(file.substr(0, file.find('.')));
  return names;
}

std::string_view preset_text(std::string_view name) {
  std::string known;
  for (const auto& [file, text] : kPresets) {
    const std::string_view preset = file.substr(0, file.find('.'));
    if (preset == name) return text;
    known += concat(known.empty() ? "" : ", ", preset);
  }
  throw ConfigError(concat("preset: expected one of ", known, ", got ", name));
}

}  // namespace unet
