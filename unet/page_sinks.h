// The result files of a segmentation, written while its pages are computed.
#pragma once

#include <memory>
#include <vector>

#include "unet/image_reader.h"
#include "unet/segmentation.h"

namespace unet {

/// Receives the probabilities of every page, top to bottom, and makes one or several result files of them.
class PageSink {
 public:
  virtual ~PageSink() = default;
  virtual void band(int64_t page, int64_t top, const Image& probabilities) = 0;
  virtual void page_done(int64_t page) = 0;
  /// The files appear under their names.
  virtual void commit() = 0;
};

/// What the sinks share about one input file; outlives them.
struct SegmentationJob {
  const Model& model;
  ImageReader& reader;
  const SegmentationOptions& options;
  std::vector<int64_t> pages;  // of the file, ascending: those that are segmented
};

/// Sinks for options.outputs; `files` has one name for each.
std::vector<std::unique_ptr<PageSink>> make_sinks(const SegmentationJob& job,
                                                  const std::vector<std::filesystem::path>& files);

/// Bytes that the sinks take for a page at the worst moment; 0 where all results stream.
size_t whole_page_bytes(const std::vector<Output>& outputs, const PageInfo& page);

}  // namespace unet
