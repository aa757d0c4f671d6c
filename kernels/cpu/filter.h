// Filters on their way into and out of oneDNN convolutions: padded to whole channel blocks, packed, cached.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/cpu/target.h"

namespace unet::kernels::cpu {

/// Channels [begin, begin + count) of a filter: those of one source.
struct ChannelRange {
  int64_t begin = 0;
  int64_t count = 0;
};

/// How a convolution reads a filter [K,R,S,C].
enum class FilterUse : uint8_t {
  convolution,         // as it is
  planar_convolution,  // the same of a planar source, whose channels are not padded
  up_convolution       // [K,2,2,C] as the 1x1 filters [2a+d][k] of a convolution to four images, one per output phase
};

/// The part of a filter [K,R,S,C] that one oneDNN convolution takes, as filters [padded_k][r][s][padded_c]: output
/// channels and each source's input channels padded with zeros to whole blocks, sources side by side.
struct FilterPart {
  FilterUse use = FilterUse::convolution;
  int64_t k = 0, r = 0, s = 0;       // K and the taps of the convolution: 1x1 for an up-convolution
  int64_t filter_channels = 0;       // C of the whole filter
  std::vector<ChannelRange> ranges;  // the sources

  FilterPart(const View<const float>& w, FilterUse use, std::vector<ChannelRange> ranges);
  /// Images that come out: 4 of an up-convolution.
  int64_t phases() const { return use == FilterUse::up_convolution ? 4 : 1; }
  int64_t padded_k() const { return phases() * round_up(k, kChannelBlock); }
  int64_t padded_channels(const ChannelRange& range) const {
    return use == FilterUse::planar_convolution ? range.count : round_up(range.count, kChannelBlock);
  }
  int64_t padded_c() const;
  /// False where the convolution can read or write the filter in place.
  bool is_padded() const;
  /// ConvolutionProblem::filter_stride.
  int64_t stride() const { return is_padded() ? padded_c() : filter_channels; }
  /// The row of C elements of the filter that is row `row` of padded_k()*r*s, or -1 for padding.
  int64_t source_row(int64_t row) const;
};

/// The packed form of a filter that `cache` keeps under `key`: `bytes` bytes, made by pack(data) on first use.
/// Keys of oneDNN's forms are {CompiledConvolution::filter_format(), first channel}; others have a negative first.
void* cached_form(FilterCache& cache, std::pair<int, int64_t> key, size_t bytes,
                  const std::function<void(void*)>& pack);

/// A filter as a oneDNN convolution takes it: found in the cache, packed into it, or packed into scratch without one.
class PackedFilter {
 public:
  PackedFilter(const Context& context, const CompiledConvolution& convolution, const FilterPart& part, const float* w,
               FilterCache* cache);
  void* data() const { return data_; }

 private:
  std::optional<Scratch<std::byte>> scratch_;
  void* data_ = nullptr;
};

/// Bias b[K] (or empty), padded with zeros to whole channel blocks, `copies` times over.
class PaddedBias {
 public:
  PaddedBias(const Context& context, const View<const float>& b, int64_t copies = 1);
  void* data() const { return const_cast<float*>(data_); }

 private:
  std::optional<Scratch<float>> scratch_;
  const float* data_ = nullptr;
};

/// dw[k,r,s, channels of part] = packed gradient of a backward_filter convolution. `part` has one source.
void unpack_gradient(const Context& context, const CompiledConvolution& convolution, const FilterPart& part,
                     const void* packed, float* dw);

}  // namespace unet::kernels::cpu
