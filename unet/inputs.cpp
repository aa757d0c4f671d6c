#include "unet/inputs.h"

#include <glob.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "kernels/error.h"
#include "unet/page_list.h"

namespace unet {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNamesInMessage = 10;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool has_image_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), to_lower);
  return extension == ".tif" || extension == ".tiff" || extension == ".png";
}

/// Compares runs of digits as numbers, everything else as text.
bool natural_less(std::string_view a, std::string_view b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i;
      ++j;
      continue;
    }
    const auto number = [](std::string_view text, size_t& at) {
      while (at + 1 < text.size() && text[at] == '0' && is_digit(text[at + 1])) ++at;
      const size_t begin = at;
      while (at < text.size() && is_digit(text[at])) ++at;
      return text.substr(begin, at - begin);
    };
    const std::string_view m = number(a, i), n = number(b, j);
    if (m != n) return m.size() != n.size() ? m.size() < n.size() : m < n;
  }
  return a.size() - i != b.size() - j ? a.size() - i < b.size() - j : a < b;
}

std::vector<fs::path> files_in_folder(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const bool hidden = entry->path().filename().string().starts_with(".");
    std::error_code ignored;  // such as a dangling link: no image
    if (!hidden && has_image_extension(entry->path()) && entry->is_regular_file(ignored))
      files.push_back(entry->path());
  }
  if (error) throw IoError(concat("list ", folder.string(), ": ", error.message()));
  if (files.empty())
    throw DataError(concat("list ", folder.string(), ": expected TIFF or PNG files, the folder has none"));
  return files;
}

std::vector<fs::path> files_of_glob(const std::string& pattern) {
  glob_t matches{};
  const int result = glob(pattern.c_str(), GLOB_BRACE | GLOB_TILDE, nullptr, &matches);
  std::vector<fs::path> files;
  for (size_t i = 0; result == 0 && i < matches.gl_pathc; ++i) {
    if (fs::is_regular_file(matches.gl_pathv[i])) files.emplace_back(matches.gl_pathv[i]);
  }
  globfree(&matches);
  if (files.empty()) throw DataError(concat("list ", pattern, ": no file matches"));
  return files;
}

// Names of files, for pairing.

/// What tells the files of one side apart: the path below their common folder, without extension.
std::vector<std::string> distinguishing_names(const std::vector<fs::path>& files) {
  fs::path common = files[0].parent_path();
  for (const fs::path& file : files) {
    const fs::path parent = file.parent_path();
    const auto differ = std::mismatch(common.begin(), common.end(), parent.begin(), parent.end()).first;
    fs::path shorter;
    for (auto part = common.begin(); part != differ; ++part) shorter /= *part;
    common = shorter;
  }
  std::vector<std::string> names;
  for (const fs::path& file : files) {
    fs::path name = file.lexically_relative(common.empty() ? "." : common).replace_extension();
    if (name.extension() == ".ome") name.replace_extension();
    names.push_back(name.generic_string());
  }
  return names;
}

struct Affixes {
  std::string_view before, after;
};

/// `name` without the affixes, if it has them around at least one character and no number is split.
std::optional<std::string_view> without(std::string_view name, const Affixes& affixes) {
  const auto [before, after] = affixes;
  if (name.size() <= before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after)) return {};
  const std::string_view core = name.substr(before.size(), name.size() - before.size() - after.size());
  if (!before.empty() && is_digit(before.back()) && is_digit(core.front())) return {};
  if (!after.empty() && is_digit(after.front()) && is_digit(core.back())) return {};
  return core;
}

/// What all names begin and end with, cut back where a number would be split.
Affixes common_affixes(const std::vector<std::string>& names) {
  Affixes common{names[0], names[0]};
  for (const std::string_view name : names) {
    const size_t before = std::mismatch(common.before.begin(), common.before.end(), name.begin(), name.end()).first -
                          common.before.begin();
    common.before = common.before.substr(0, before);
  }
  const auto splits = [&](const Affixes& affixes) {
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return !without(name, affixes); });
  };
  while (!common.before.empty() && splits({common.before, {}})) common.before.remove_suffix(1);
  for (const std::string_view name : names) {
    const std::string_view rest = name.substr(common.before.size());
    const size_t after = std::mismatch(common.after.rbegin(), common.after.rend(), rest.rbegin(), rest.rend()).first -
                         common.after.rbegin();
    common.after = common.after.substr(common.after.size() - after);
  }
  while (!common.after.empty() && splits(common)) common.after.remove_prefix(1);
  return common;
}

using Matches = std::map<size_t, size_t>;  // image file -> label file

/// Pairs the files whose names are equal without their sides' affixes.
Matches match(const std::vector<std::string>& images, const Affixes& image_affixes,
              const std::vector<std::string>& labels, const Affixes& label_affixes) {
  std::map<std::string_view, size_t> find;
  for (size_t i = 0; i < images.size(); ++i) {
    if (const auto core = without(images[i], image_affixes)) find[*core] = i;
  }
  Matches matches;
  for (size_t j = 0; j < labels.size(); ++j) {
    const auto core = without(labels[j], label_affixes);
    if (!core) continue;
    if (const auto found = find.find(*core); found != find.end()) matches[found->second] = j;
  }
  return matches;
}

/// Texts that stand around a name of `inner` in the first name of `outer`.
std::vector<Affixes> affixes_around(const std::vector<std::string>& inner, const std::vector<std::string>& outer) {
  std::set<std::pair<std::string_view, std::string_view>> found;
  const std::string_view whole = outer[0];
  for (const std::string& name : inner) {
    for (size_t at = whole.find(name); at != std::string_view::npos; at = whole.find(name, at + 1)) {
      found.emplace(whole.substr(0, at), whole.substr(at + name.size()));
    }
  }
  std::vector<Affixes> affixes;
  for (const auto& [before, after] : found) affixes.push_back({before, after});
  return affixes;
}

Matches match_names(const std::vector<std::string>& images, const std::vector<std::string>& labels) {
  std::vector<std::pair<Affixes, Affixes>> rules{{{}, {}}};
  for (const Affixes& around : affixes_around(images, labels)) rules.push_back({{}, around});
  for (const Affixes& around : affixes_around(labels, images)) rules.push_back({around, {}});
  rules.push_back({common_affixes(images), common_affixes(labels)});
  Matches best;
  for (const auto& [image_affixes, label_affixes] : rules) {
    Matches matches = match(images, image_affixes, labels, label_affixes);
    if (matches.size() > best.size()) best = std::move(matches);
  }
  return best;
}

/// What fails, for messages.
std::string action(const SideNames& sides) { return concat("pair ", sides.images, " and ", sides.labels, ": "); }

void require_distinct(const std::vector<fs::path>& files, const std::vector<std::string>& names,
                      const SideNames& sides) {
  std::map<std::string_view, size_t> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto [other, is_new] = seen.emplace(names[i], i);
    if (!is_new) {
      throw DataError(concat(action(sides), files[other->second].string(), " and ", files[i].string(),
                             " have the same name; keep one of them"));
    }
  }
}

std::string list_names(const std::vector<fs::path>& files) {
  std::string text;
  for (size_t i = 0; i < std::min(files.size(), kMaxNamesInMessage); ++i) {
    text += concat(i ? ", " : "", files[i].string());
  }
  return files.size() > kMaxNamesInMessage ? concat(text, " and ", files.size() - kMaxNamesInMessage, " more") : text;
}

/// Files in the order of their first page.
std::vector<fs::path> files_of(const std::vector<InputPage>& pages) {
  std::vector<fs::path> files;
  for (const InputPage& page : pages) {
    if (files.empty() || files.back() != page.file) files.push_back(page.file);
  }
  return files;
}

PagePair checked(const InputPage& image, const InputPage& label, const SideNames& sides) {
  if (image.info.height != label.info.height || image.info.width != label.info.width) {
    throw DataError(concat(action(sides), "sizes differ: ", image.name(), " has ", image.info.height, " x ",
                           image.info.width, ", ", label.name(), " has ", label.info.height, " x ", label.info.width));
  }
  return {image, label};
}

std::vector<PagePair> pair_by_index(const std::vector<InputPage>& images, const std::vector<InputPage>& labels,
                                    const SideNames& sides) {
  if (images.size() != labels.size()) {
    throw DataError(concat(action(sides), "numbers of pages differ: ", images[0].file.string(), " has ", images.size(),
                           ", ", labels[0].file.string(), " has ", labels.size()));
  }
  std::vector<PagePair> pairs;
  for (size_t i = 0; i < images.size(); ++i) pairs.push_back(checked(images[i], labels[i], sides));
  return pairs;
}

std::map<fs::path, std::vector<InputPage>> by_file(const std::vector<InputPage>& pages) {
  std::map<fs::path, std::vector<InputPage>> files;
  for (const InputPage& page : pages) files[page.file].push_back(page);
  return files;
}

}  // namespace

std::string InputPage::name() const { return file_pages == 1 ? file.string() : concat(file.string(), ", page ", page); }

std::vector<fs::path> list_image_files(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::is_regular_file(status)) return {path};
  std::vector<fs::path> files;
  if (fs::is_directory(status)) {
    files = files_in_folder(path);
  } else if (path.find_first_of("*?[{~") != std::string::npos) {
    files = files_of_glob(path);
  } else {
    throw IoError(concat("list ", path, ": ", error ? error.message() : "expected a file, a folder or a glob"));
  }
  std::sort(files.begin(), files.end(),
            [](const fs::path& a, const fs::path& b) { return natural_less(a.string(), b.string()); });
  return files;
}

std::vector<InputPage> list_pages(const std::string& path) {
  std::vector<InputPage> pages;
  for (const fs::path& file : list_image_files(path)) {
    const ImageReader reader(file);
    for (int64_t page = 0; page < reader.pages(); ++page) {
      pages.push_back({file, page, reader.pages(), reader.info(page)});
    }
  }
  return pages;
}

std::vector<InputPage> choose_pages(const std::vector<InputPage>& pages, std::string_view list) {
  std::vector<InputPage> chosen;
  for (const int64_t i : parse_page_list("--pages", list, std::ssize(pages))) {
    chosen.push_back(pages[static_cast<size_t>(i)]);
  }
  return chosen;
}

std::vector<PagePair> pair_pages(const std::vector<InputPage>& images, const std::vector<InputPage>& labels,
                                 Unlabelled unlabelled, const SideNames& sides) {
  if (images.empty() || labels.empty()) throw DataError(action(sides) + "one of them has no page");
  const std::vector<fs::path> image_files = files_of(images), label_files = files_of(labels);
  if (image_files.size() == 1 || label_files.size() == 1) return pair_by_index(images, labels, sides);

  const std::vector<std::string> image_names = distinguishing_names(image_files);
  const std::vector<std::string> label_names = distinguishing_names(label_files);
  require_distinct(image_files, image_names, sides);
  require_distinct(label_files, label_names, sides);
  const Matches matches = match_names(image_names, label_names);

  std::vector<fs::path> lonely_images, lonely_labels;
  std::set<size_t> paired_labels;
  for (const auto& [image, label] : matches) paired_labels.insert(label);
  for (size_t i = 0; i < image_files.size(); ++i) {
    if (unlabelled == Unlabelled::refused && !matches.contains(i)) lonely_images.push_back(image_files[i]);
  }
  for (size_t j = 0; j < label_files.size(); ++j) {
    if (!paired_labels.contains(j)) lonely_labels.push_back(label_files[j]);
  }
  if (!lonely_images.empty() || !lonely_labels.empty()) {
    std::string text = action(sides);
    if (!lonely_images.empty()) text += concat("no ", sides.labels, " for ", list_names(lonely_images), "; ");
    if (!lonely_labels.empty()) text += concat("no ", sides.images, " for ", list_names(lonely_labels), "; ");
    throw DataError(text + sides.advice);
  }

  const auto image_pages = by_file(images), label_pages = by_file(labels);
  std::vector<PagePair> pairs;
  for (const auto& [image, label] : matches) {
    const auto of_file = pair_by_index(image_pages.at(image_files[image]), label_pages.at(label_files[label]), sides);
    pairs.insert(pairs.end(), of_file.begin(), of_file.end());
  }
  return pairs;
}

std::vector<PagePair> pair_chosen_pages(const std::vector<InputPage>& predictions, const std::vector<InputPage>& truth,
                                        std::string_view list, Unlabelled unlabelled) {
  const std::vector<InputPage> chosen = choose_pages(truth, list);
  if (predictions.size() == chosen.size()) return pair_pages(predictions, chosen, unlabelled);
  const bool by_name = files_of(predictions).size() > 1 && files_of(truth).size() > 1;
  if (!by_name && predictions.size() != truth.size()) {
    throw DataError(concat("--pages: expected predictions of the ", chosen.size(), " chosen pages or of all ",
                           truth.size(), " pages of the truth, got ", predictions.size(), " pages"));
  }
  std::vector<PagePair> pairs = pair_pages(predictions, truth, unlabelled);
  std::erase_if(pairs, [&](const PagePair& pair) {
    return std::none_of(chosen.begin(), chosen.end(), [&](const InputPage& page) {
      return page.file == pair.label.file && page.page == pair.label.page;
    });
  });
  return pairs;
}

}  // namespace unet
