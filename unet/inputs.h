// From a PATH on the command line to pages, and from pages of images and of labels to pairs.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "unet/image_reader.h"

namespace unet {

/// One page of one file.
struct InputPage {
  std::filesystem::path file;
  int64_t page = 0;        // within the file
  int64_t file_pages = 1;  // that the file has
  PageInfo info;

  /// "cells.tif" or "cells.tif, page 3", for people.
  std::string name() const;
};

/// Files meant by `path`: itself, or the TIFF and PNG files of a folder (hidden ones and other types left out), or what
/// a glob such as "data/*.tif" matches. In natural order: a2 before a10. A name that exists is never taken as a glob.
/// Throws IoError for a path that does not exist, DataError for a folder or glob without images.
std::vector<std::filesystem::path> list_image_files(const std::string& path);

/// All pages of all these files, opened once each. Throws what ImageReader throws.
std::vector<InputPage> list_pages(const std::string& path);

/// Those with the numbers of `list`, such as "0-4,10", counted over all pages. Throws what parse_page_list() throws.
std::vector<InputPage> choose_pages(const std::vector<InputPage>& pages, std::string_view list);

struct PagePair {
  InputPage image, label;
};

/// What to do with image files without a label file: an error, or nothing.
enum class Unlabelled : uint8_t { refused, left_out };

/// What messages call the two sides, and what they advise for files without a partner.
struct SideNames {
  std::string images = "images", labels = "labels";
  std::string advice = "complete the pairs, or leave files out with a glob";
};

/// Pairs every image page with its label page. Where either side is a single file, by index; else files by name and
/// their pages by index. Names, without extension, pair under the first of these rules that pairs them all:
/// - they are equal;
/// - one side's is the other's with the same text before and after it (`a.png` and `a_mask.png`);
/// - they are equal without what all names of a side begin and end with (`t002.tif` and `man_seg002.tif`).
/// Numbers are never split: `1` does not pair with `11_mask`. Throws DataError naming every file without a partner, or
/// both of a pair whose numbers of pages or whose sizes differ; label files must have a partner always.
std::vector<PagePair> pair_pages(const std::vector<InputPage>& images, const std::vector<InputPage>& labels,
                                 Unlabelled unlabelled = Unlabelled::refused, const SideNames& sides = {});

/// Pairs predictions with the pages of `list` of the truth, counted over all its pages. Predictions are those of just
/// these pages in the same order, or of all pages of the truth: their number tells which. Throws DataError for any
/// other number, and what pair_pages() and choose_pages() throw.
std::vector<PagePair> pair_chosen_pages(const std::vector<InputPage>& predictions, const std::vector<InputPage>& truth,
                                        std::string_view list, Unlabelled unlabelled = Unlabelled::refused);

}  // namespace unet
