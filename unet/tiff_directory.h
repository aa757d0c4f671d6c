// The look at a TIFF file's directories that comes before libtiff may see them.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/input_file.h"

namespace unet {

struct TiffStructure {
  bool big_endian = false;
  std::vector<uint64_t> directories;  // offsets in chain order, each once
};

/// True if the file starts as a classic or big TIFF does.
bool is_tiff(const engine::InputFile& file);

/// Walks the chain of image directories and throws DataError, naming the directory, unless
/// - the chain ends, visits no directory twice and has at most 65,535 of them with at most 4,096 entries each;
/// - every directory and every entry's value lies inside the file;
/// - all values together are no larger than the file plus 16 MiB, so that no entry's bytes are shared by thousands.
/// libtiff alone keeps a copy of each value: without the last rule a file of 750 KB can take 3 GB of memory.
TiffStructure check_tiff_structure(const engine::InputFile& file);

}  // namespace unet
