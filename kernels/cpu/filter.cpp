#include "kernels/cpu/filter.h"

#include <algorithm>
#include <cstdlib>
#include <map>

namespace unet::kernels::cpu {
namespace {

struct Free {
  void operator()(void* block) const { std::free(block); }
};

// Packed forms of one filter by format and first channel. They live as long as the parameter, not as long as a call:
// so they are no workspace blocks.
struct PackedForms final : FilterCache::Entry {
  std::map<std::pair<int, int64_t>, std::unique_ptr<void, Free>> forms;
};

void pack(const Context& context, const CompiledConvolution& convolution, const FilterPart& part, const float* w,
          void* packed) {
  const int64_t first = part.ranges.front().begin;
  if (!part.is_padded()) return convolution.pack(w + first, packed);

  const int64_t c = part.padded_c();
  const int64_t taps = part.r * part.s;
  const Scratch<float> padded(*context.workspace, part.padded_k() * taps * c);
#pragma omp parallel for num_threads(context.threads)
  for (int64_t row = 0; row < part.padded_k() * taps; ++row) {
    float* to = &padded[row * c];
    for (const ChannelRange& range : part.ranges) {
      float* const end = to + part.padded_channels(range);
      if (row < part.k * taps) to = std::copy_n(w + row * part.filter_channels + range.begin, range.count, to);
      std::fill(to, end, 0.0F);
      to = end;
    }
  }
  convolution.pack(padded.data(), packed);
}

}  // namespace

int64_t FilterPart::padded_c() const {
  int64_t c = 0;
  for (const ChannelRange& range : ranges) c += padded_channels(range);
  return c;
}

bool FilterPart::is_padded() const {
  int64_t c = 0;
  for (const ChannelRange& range : ranges) c += range.count;
  return padded_k() != k || padded_c() != c;
}

PackedFilter::PackedFilter(const Context& context, const CompiledConvolution& convolution, const FilterPart& part,
                           const float* w, FilterCache* cache) {
  const size_t bytes = convolution.filter_bytes();
  if (cache == nullptr) {
    scratch_.emplace(*context.workspace, static_cast<int64_t>(bytes));
    data_ = scratch_->data();
    pack(context, convolution, part, w, data_);
    return;
  }
  auto forms = std::dynamic_pointer_cast<PackedForms>(cache->entry());
  if (!forms) cache->entry() = forms = std::make_shared<PackedForms>();
  auto& form = forms->forms[{convolution.filter_format(), part.ranges.front().begin}];
  if (!form) {
    std::unique_ptr<void, Free> fresh(
        std::aligned_alloc(64, static_cast<size_t>(round_up(static_cast<int64_t>(bytes), 64))));
    if (!fresh)
      throw OutOfMemory(concat("filter cache: cannot allocate ", bytes, " bytes; use a smaller network"), bytes, 0);
    pack(context, convolution, part, w, fresh.get());
    form = std::move(fresh);
  }
  data_ = form.get();
}

PaddedBias::PaddedBias(const Context& context, const View<const float>& b) : data_(b.data) {
  const int64_t padded = round_up(b.c, kChannelBlock);
  if (b.c == padded) return;
  scratch_.emplace(*context.workspace, padded);
  std::fill(std::copy_n(b.data, b.c, scratch_->data()), scratch_->data() + padded, 0.0F);
  data_ = scratch_->data();
}

void unpack_gradient(const Context& context, const CompiledConvolution& convolution, const FilterPart& part,
                     const void* packed, float* dw) {
  const ChannelRange range = part.ranges.front();
  if (!part.is_padded()) return convolution.unpack(packed, dw + range.begin);

  const int64_t c = part.padded_c();
  const Scratch<float> padded(*context.workspace, part.padded_k() * part.r * part.s * c);
  convolution.unpack(packed, padded.data());
#pragma omp parallel for num_threads(context.threads)
  for (int64_t row = 0; row < part.k * part.r * part.s; ++row) {
    std::copy_n(&padded[row * c], range.count, dw + row * part.filter_channels + range.begin);
  }
}

}  // namespace unet::kernels::cpu
