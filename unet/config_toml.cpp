// Configurations as TOML and as key=value settings.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iomanip>
#include <iterator>
#include <type_traits>
#include <utility>

#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "unet/config.h"
#include "unet/config_fields.h"
#include "unet/readable.h"

namespace unet {
namespace {

std::string kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a section";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return concat('"', *node.value<std::string>(), '"');
    case toml::node_type::boolean:
      return *node.value<bool>() ? "true" : "false";
    case toml::node_type::integer:
      return concat(*node.value<int64_t>());
    case toml::node_type::floating_point:
      return concat(*node.value<double>());
    default:
      return "a date";
  }
}

[[noreturn]] void refuse(std::string_view key, const char* expected, const toml::node& node) {
  throw ConfigError(concat(key, ": expected ", expected, ", got ", kind_of(node)));
}

double read_number(std::string_view key, const toml::node& node) {
  if (!node.is_number()) refuse(key, "a number", node);
  return *node.value<double>();
}

void read(std::string_view key, const toml::node& node, bool& field) {
  if (!node.is_boolean()) refuse(key, "true or false", node);
  field = *node.value<bool>();
}

void read(std::string_view key, const toml::node& node, int64_t& field) {
  constexpr double kExact = 9007199254740992.0;  // 2^53: beyond it a double such as 6e4 may not be the number meant
  if (node.is_integer()) {
    field = *node.value<int64_t>();
    return;
  }
  const double number = read_number(key, node);
  if (!(std::abs(number) <= kExact) || std::trunc(number) != number) refuse(key, "a whole number", node);
  field = static_cast<int64_t>(number);
}

void read(std::string_view key, const toml::node& node, double& field) { field = read_number(key, node); }

void read(std::string_view key, const toml::node& node, std::vector<double>& field) {
  const toml::array* list = node.as_array();
  if (list == nullptr) refuse(key, "a list of numbers such as [0.6, 0.85]", node);
  std::vector<double> numbers;
  for (const toml::node& element : *list) numbers.push_back(read_number(key, element));
  field = std::move(numbers);
}

void read(std::string_view key, const toml::node& node, std::string& field) {
  if (node.is_integer()) {  // a page such as 3 needs no quotes
    field = std::to_string(*node.value<int64_t>());
    return;
  }
  if (!node.is_string()) refuse(key, "text in quotes", node);
  field = *node.value<std::string>();
}

template <NamedEnum E>
void read(std::string_view key, const toml::node& node, E& field) {
  if (!node.is_string()) refuse(key, all_names<E>().c_str(), node);
  field = parse_enum<E>(key, *node.value<std::string>());
}

std::string write(bool value) { return value ? "true" : "false"; }
std::string write(int64_t value) { return std::to_string(value); }
std::string write(double value) {
  if (std::isnan(value)) return "nan";
  char text[32];
  const auto result = std::to_chars(std::begin(text), std::end(text), value);  // shortest that reads back equal
  return {text, result.ptr};
}
std::string write(const std::vector<double>& values) {
  std::string text = "[";
  for (const double value : values) text += concat(text.size() > 1 ? ", " : "", write(value));
  return text + "]";
}
std::string write(const std::string& value) { return concat(std::quoted(value)); }
template <NamedEnum E>
std::string write(E value) {
  return concat('"', name_of(value), '"');
}

/// The valid key that `key` most probably means; a bare field name ("lr") finds its section.
std::string nearest_key(std::string_view key) {
  const TrainingConfig defaults;
  const bool bare = key.find('.') == std::string_view::npos;
  std::string nearest;
  size_t smallest = std::numeric_limits<size_t>::max();
  visit_fields(defaults, [&](std::string_view candidate, const auto&, Range) {
    const std::string_view compared = bare ? candidate.substr(candidate.find('.') + 1) : candidate;
    const size_t distance = edit_distance(key, compared);
    if (distance < smallest) {
      smallest = distance;
      nearest = candidate;
    }
  });
  return nearest;
}

void assign(TrainingConfig& config, std::string_view key, const toml::node& node) {
  bool found = false;
  visit_fields(config, [&](std::string_view candidate, auto& field, Range) {
    if (candidate != key) return;
    read(key, node, field);
    found = true;
  });
  if (!found) throw ConfigError(concat("unknown key ", key, "; did you mean ", nearest_key(key), "?"));
}

bool is_section(std::string_view name) {
  const TrainingConfig defaults;
  bool found = false;
  visit_fields(defaults, [&](std::string_view key, const auto&, Range) {
    found = found || key.substr(0, key.find('.')) == name;
  });
  return found;
}

std::string read_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  char block[4096];
  while (file.read(block, sizeof block), file.gcount() > 0) text.append(block, static_cast<size_t>(file.gcount()));
  if (!file.is_open() || file.bad()) {
    throw IoError(concat("configuration: cannot read ", path, ": ", std::strerror(errno == 0 ? EIO : errno)));
  }
  return text;
}

}  // namespace

void apply_toml(TrainingConfig& config, std::string_view text, const std::string& origin) {
  toml::table root;
  try {
    root = toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw ConfigError(concat(origin, ":", error.source().begin.line, ": ", error.description()));
  }
  const auto at_line = [&](const toml::node& node, auto&& action) {
    try {
      action();
    } catch (const ConfigError& error) {
      throw ConfigError(concat(origin, ":", node.source().begin.line, ": ", error.what()));
    }
  };
  for (const auto& [section, content] : root) {
    const toml::table* fields = content.as_table();
    at_line(content, [&] {
      if (fields == nullptr || !is_section(section.str())) {
        throw ConfigError(concat("unknown ", fields == nullptr ? "key " : "section ", section.str(), "; did you mean ",
                                 nearest_key(section.str()), "?"));
      }
    });
    for (const auto& [field, node] : *fields) {
      at_line(node, [&] { assign(config, concat(section.str(), ".", field.str()), node); });
    }
  }
}

void apply_setting(TrainingConfig& config, std::string_view setting) {
  const size_t equals = setting.find('=');
  if (equals == 0 || equals == std::string_view::npos) {
    throw ConfigError(concat("setting: expected KEY=VALUE such as optimizer.lr=1e-4, got ", setting));
  }
  const std::string_view key = setting.substr(0, equals);
  const std::string_view value = setting.substr(equals + 1);
  toml::table parsed;
  try {
    parsed = toml::parse(concat("value = ", value));
  } catch (const toml::parse_error&) {
    parsed.insert_or_assign("value", std::string(value));  // an unquoted name, such as adam
  }
  assign(config, key, *parsed.get("value"));
}

TrainingConfig make_config(const ConfigSources& sources) {
  TrainingConfig config;
  apply_toml(config, preset_text(sources.preset), concat("preset ", sources.preset));
  if (sources.file) apply_toml(config, read_file(*sources.file), *sources.file);
  for (const std::string& setting : sources.settings) apply_setting(config, setting);
  config.validate();
  return config;
}

std::string to_toml(const TrainingConfig& config) {
  std::string text;
  std::string_view section;
  visit_fields(config, [&](std::string_view key, const auto& value, Range) {
    const size_t dot = key.find('.');
    if (key.substr(0, dot) != section) {
      section = key.substr(0, dot);
      text += concat(text.empty() ? "" : "\n", "[", section, "]\n");
    }
    text += concat(key.substr(dot + 1), " = ", write(value), "\n");
  });
  return text;
}

}  // namespace unet
