#include "unet/image_metadata.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

namespace unet {
namespace {

constexpr double kLargestMeasuredPixelUm = 20;

/// The number at the start of `text`, 0 if there is none or it is not finite.
double parse_number(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && std::isfinite(value) ? value : 0;
}

int64_t parse_count(std::string_view text) {
  const double value = parse_number(text);
  return value >= 1 && value <= 1e9 ? static_cast<int64_t>(value) : 0;
}

/// Micrometres per unit, 0 for what is not a length.
double micrometres_per(std::string_view unit) {
  struct Unit {
    std::string_view name;
    double um;
  };
  static constexpr std::array<Unit, 20> kUnits{
      {{"nm", 1e-3},       {"nanometer", 1e-3}, {"pm", 1e-6},      {"\xc3\x85", 1e-4},  // angstrom
       {"angstrom", 1e-4}, {"um", 1},           {"\xc2\xb5m", 1},                       // micro sign, UTF-8
       {"\xce\xbcm", 1},                                                                // Greek mu, UTF-8
       {"\xb5m", 1},                                                                    // micro sign, Latin-1
       {"\\u00B5m", 1},                                                                 // ImageJ's escape
       {"micron", 1},      {"microns", 1},      {"micrometer", 1}, {"mm", 1e3},        {"millimeter", 1e3},
       {"cm", 1e4},        {"centimeter", 1e4}, {"m", 1e6},        {"inch", 25400},    {"in", 25400}}};
  const auto found = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& entry) { return entry.name == unit; });
  return found == kUnits.end() ? 0 : found->um;
}

/// Value of `key` in lines of `key=value`.
std::optional<std::string_view> line_value(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=') {
      return line.substr(key.size() + 1);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return std::nullopt;
}

/// Value of an attribute in the inside of an XML start tag.
std::optional<std::string_view> attribute(std::string_view tag, std::string_view name) {
  for (size_t at = tag.find(name); at != std::string_view::npos; at = tag.find(name, at + 1)) {
    const size_t quote = at + name.size() + 1;
    const bool is_whole_name = at > 0 && std::string_view(" \t\r\n").find(tag[at - 1]) != std::string_view::npos;
    if (!is_whole_name || quote >= tag.size() || tag[quote - 1] != '=') continue;
    const size_t end = tag.find(tag[quote], quote + 1);
    if (end == std::string_view::npos) return std::nullopt;
    return tag.substr(quote + 1, end - quote - 1);
  }
  return std::nullopt;
}

/// Inside of the first start tag with this name, with or without a namespace prefix; empty if there is none.
std::string_view first_tag(std::string_view xml, std::string_view name) {
  for (size_t at = xml.find(name); at != std::string_view::npos; at = xml.find(name, at + 1)) {
    const size_t after = at + name.size();
    const bool starts = at > 0 && (xml[at - 1] == '<' || xml[at - 1] == ':');
    if (!starts || after >= xml.size() || std::string_view(" \t\r\n").find(xml[after]) == std::string_view::npos)
      continue;
    return xml.substr(after, std::min(xml.find('>', after), xml.size()) - after);
  }
  return {};
}

}  // namespace

bool is_imagej_description(std::string_view text) { return text.starts_with("ImageJ="); }

ImageMetadata parse_imagej_description(std::string_view text, double pixels_per_unit_x, double pixels_per_unit_y,
                                       int64_t* images) {
  const auto number = [&](std::string_view key) { return parse_number(line_value(text, key).value_or("")); };
  const auto count = [&](std::string_view key) { return parse_count(line_value(text, key).value_or("")); };
  ImageMetadata metadata;
  metadata.axes = {std::max<int64_t>(1, count("channels")), std::max<int64_t>(1, count("slices")),
                   std::max<int64_t>(1, count("frames")), "CZT"};
  metadata.frame_interval_s = std::max(0.0, number("finterval"));
  const double um = micrometres_per(line_value(text, "unit").value_or(""));
  if (um > 0) {
    if (pixels_per_unit_x > 0) metadata.pixel_size.width_um = um / pixels_per_unit_x;
    if (pixels_per_unit_y > 0) metadata.pixel_size.height_um = um / pixels_per_unit_y;
    metadata.pixel_size.depth_um = um * std::abs(number("spacing"));
  }
  *images = count("images");
  return metadata;
}

bool is_ome_description(std::string_view text) {
  return text.substr(0, 4096).find("<OME") != std::string_view::npos ||
         text.substr(0, 4096).find(":OME ") != std::string_view::npos;
}

ImageMetadata parse_ome_description(std::string_view text) {
  const std::string_view pixels = first_tag(text, "Pixels");
  const auto count = [&](std::string_view name) {
    return std::max<int64_t>(1, parse_count(attribute(pixels, name).value_or("")));
  };
  const auto length_um = [&](const std::string& axis) {
    const double um = micrometres_per(attribute(pixels, "PhysicalSize" + axis + "Unit").value_or("um"));
    return std::max(0.0, um * parse_number(attribute(pixels, "PhysicalSize" + axis).value_or("")));
  };
  ImageMetadata metadata;
  metadata.axes = {count("SizeC"), count("SizeZ"), count("SizeT"), "CZT"};
  const std::string_view order = attribute(pixels, "DimensionOrder").value_or("XYCZT");
  if (order.size() == 5 && order.starts_with("XY")) {
    std::string planes(order.substr(2)), sorted = planes;
    std::sort(sorted.begin(), sorted.end());
    if (sorted == "CTZ") metadata.axes.order = planes;
  }
  metadata.pixel_size = {length_um("X"), length_um("Y"), length_um("Z")};
  if (attribute(pixels, "TimeIncrementUnit").value_or("s") == "s") {
    metadata.frame_interval_s = std::max(0.0, parse_number(attribute(pixels, "TimeIncrement").value_or("")));
  }
  return metadata;
}

PixelSize pixel_size_from_resolution(double pixels_per_um_x, double pixels_per_um_y) {
  if (!(pixels_per_um_x > 1 / kLargestMeasuredPixelUm && pixels_per_um_y > 1 / kLargestMeasuredPixelUm)) return {};
  return {1 / pixels_per_um_x, 1 / pixels_per_um_y, 0};
}

std::string imagej_description(const ImageMetadata& metadata, int64_t planes) {
  std::ostringstream text;
  text.precision(17);
  Axes axes = metadata.axes;
  axes.channels = 1;
  if (axes.planes() != planes) axes = {1, planes, 1, "CZT"};
  text << "ImageJ=1.54f\nimages=" << planes << "\nslices=" << axes.slices << "\n";
  if (axes.frames > 1) text << "frames=" << axes.frames << "\n";
  if (axes.slices > 1 && axes.frames > 1) text << "hyperstack=true\n";
  if (metadata.pixel_size.known()) text << "unit=micron\n";
  if (metadata.pixel_size.depth_um > 0) text << "spacing=" << metadata.pixel_size.depth_um << "\n";
  if (metadata.frame_interval_s > 0) text << "finterval=" << metadata.frame_interval_s << "\n";
  text << "loop=false\n";
  return text.str();
}

}  // namespace unet
