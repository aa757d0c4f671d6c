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
  const int64_t rows = part.padded_k() * part.r * part.s;
  const Scratch<float> padded(*context.workspace, rows * c);
#pragma omp parallel for num_threads(context.threads)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t from = part.source_row(row);
    float* to = &padded[row * c];
    for (const ChannelRange& range : part.ranges) {
      float* const end = to + part.padded_channels(range);
      if (from >= 0) to = std::copy_n(w + from * part.filter_channels + range.begin, range.count, to);
      std::fill(to, end, 0.0F);
      to = end;
    }
  }
  convolution.pack(padded.data(), packed);
}

}  // namespace

FilterPart::FilterPart(const View<const float>& w, FilterUse filter_use, std::vector<ChannelRange> sources)
    : use(filter_use),
      k(w.n),
      r(use == FilterUse::up_convolution ? 1 : w.h),
      s(use == FilterUse::up_convolution ? 1 : w.w),
      filter_channels(w.c),
      ranges(std::move(sources)) {}

int64_t FilterPart::source_row(int64_t row) const {
  if (use != FilterUse::up_convolution) return row < k * r * s ? row : -1;
  const int64_t phase_rows = padded_k() / phases();
  const int64_t phase = row / phase_rows;
  const int64_t channel = row % phase_rows;
  return channel < k ? channel * phases() + phase : -1;
}

int64_t FilterPart::padded_c() const {
  int64_t c = 0;
  for (const ChannelRange& range : ranges) c += padded_channels(range);
  return c;
}

bool FilterPart::is_padded() const {
  if (use == FilterUse::up_convolution) return true;
  int64_t c = 0;
  for (const ChannelRange& range : ranges) c += range.count;
  return padded_k() != k || padded_c() != c;
}

void* cached_form(FilterCache& cache, std::pair<int, int64_t> key, size_t bytes,
                  const std::function<void(void*)>& pack) {
  auto packed = std::dynamic_pointer_cast<PackedForms>(cache.entry());
  if (!packed) cache.entry() = packed = std::make_shared<PackedForms>();
  auto& form = packed->forms[key];
  if (!form) {
    const size_t lines = static_cast<size_t>(round_up(static_cast<int64_t>(bytes), 64));
    std::unique_ptr<void, Free> fresh(std::aligned_alloc(64, lines));
    if (!fresh) {
      throw OutOfMemory(concat("filter cache: cannot allocate ", bytes, " bytes; run without a cache"), bytes, 0);
    }
    pack(fresh.get());
    form = std::move(fresh);
  }
  return form.get();
}

PackedFilter::PackedFilter(const Context& context, const CompiledConvolution& convolution, const FilterPart& part,
                           const float* w, FilterCache* cache) {
  const size_t bytes = convolution.filter_bytes();
  if (cache != nullptr) {
    data_ = cached_form(*cache, {convolution.filter_format(), part.ranges.front().begin}, bytes,
                        [&](void* packed) { pack(context, convolution, part, w, packed); });
  } else {
    scratch_.emplace(*context.workspace, static_cast<int64_t>(bytes));
    data_ = scratch_->data();
    pack(context, convolution, part, w, data_);
  }
}

PaddedBias::PaddedBias(const Context& context, const View<const float>& b, int64_t copies) : data_(b.data) {
  const int64_t padded = round_up(b.c, kChannelBlock);
  if (!b || (b.c == padded && copies == 1)) return;
  scratch_.emplace(*context.workspace, copies * padded);
  for (int64_t i = 0; i < copies * padded; ++i) (*scratch_)[i] = i % padded < b.c ? b.data[i % padded] : 0.0F;
  data_ = scratch_->data();
}

void unpack_gradient(const Context& context, const CompiledConvolution& convolution, const FilterPart& part,
                     const void* packed, float* dw) {
  const ChannelRange range = part.ranges.front();
  if (!part.is_padded()) return convolution.unpack(packed, dw + range.begin);

  const int64_t c = part.padded_c();
  const int64_t rows = part.padded_k() * part.r * part.s;
  const Scratch<float> padded(*context.workspace, rows * c);
  convolution.unpack(packed, padded.data());
#pragma omp parallel for num_threads(context.threads)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t to = part.source_row(row);
    if (to >= 0) std::copy_n(&padded[row * c], range.count, dw + to * part.filter_channels + range.begin);
  }
}

}  // namespace unet::kernels::cpu
