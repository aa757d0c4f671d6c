// Filters on their way into and out of oneDNN convolutions: padded to whole channel blocks, packed, cached.
#pragma once

#include <optional>
#include <vector>

#include "kernels/cpu/target.h"

namespace unet::kernels::cpu {

/// Channels [begin, begin + count) of a filter: those of one source.
struct ChannelRange {
  int64_t begin = 0;
  int64_t count = 0;
};

/// The part of a filter [K,R,S,C] that one convolution takes: K and each source's channels padded with zeros to whole
/// blocks, sources side by side. The channels of a planar source are not padded.
struct FilterPart {
  int64_t k = 0, r = 0, s = 0;       // K unpadded
  int64_t filter_channels = 0;       // C of the whole filter
  std::vector<ChannelRange> ranges;  // the sources
  bool planar = false;

  int64_t padded_k() const { return round_up(k, kChannelBlock); }
  int64_t padded_channels(const ChannelRange& range) const {
    return planar ? range.count : round_up(range.count, kChannelBlock);
  }
  int64_t padded_c() const;
  /// False where the convolution can read or write the filter in place.
  bool is_padded() const;
  /// ConvolutionProblem::filter_stride.
  int64_t stride() const { return is_padded() ? padded_c() : filter_channels; }
};

/// A filter as a convolution takes it: found in the cache, packed into it, or packed into scratch without one.
class PackedFilter {
 public:
  PackedFilter(const Context& context, const CompiledConvolution& convolution, const FilterPart& part, const float* w,
               FilterCache* cache);
  void* data() const { return data_; }

 private:
  std::optional<Scratch<std::byte>> scratch_;
  void* data_ = nullptr;
};

/// Bias b[K] (or empty), padded with zeros to whole channel blocks.
class PaddedBias {
 public:
  PaddedBias(const Context& context, const View<const float>& b);
  void* data() const { return const_cast<float*>(data_); }

 private:
  std::optional<Scratch<float>> scratch_;
  const float* data_ = nullptr;
};

/// dw[k,r,s, channels of part] = packed gradient of a backward_filter convolution. `part` has one source.
void unpack_gradient(const Context& context, const CompiledConvolution& convolution, const FilterPart& part,
                     const void* packed, float* dw);

}  // namespace unet::kernels::cpu
