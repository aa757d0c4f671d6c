// A sum whose terms are split over blocks, and a second launch that adds the parts up in a fixed order.
#include "tests/emulated/mutants/mutants.h"

namespace unet::kernels::gpu::mutants {
namespace {

enum class Bug : uint8_t {
  none,
  parts_overlap,      // two splits write the same part
  part_missing,       // one split writes nothing
  one_launch,         // the sum is taken in the launch that writes the parts
  too_many_parts,     // the second pass reads one more than there are
  scratch_given_back  // before the second pass
};

constexpr int kWidth = 32, kSplits = 3, kRowsPerSplit = 4;

/// parts[split,width] = sums over the rows of the split; x[splits*rows,width].
template <Bug kBug>
__global__ void __launch_bounds__(kWidth) partial_sums(float* parts, const float* x, float* sums) {
  const int split = static_cast<int>(blockIdx.x), column = static_cast<int>(threadIdx.x);
  float sum = 0;
  for (int row = 0; row < kRowsPerSplit; ++row) sum += x[(split * kRowsPerSplit + row) * kWidth + column];
  if constexpr (kBug == Bug::parts_overlap) {
    parts[split * (kWidth - 1) + column] = sum;
  } else if constexpr (kBug == Bug::part_missing) {
    if (split != 1) parts[split * kWidth + column] = sum;
  } else {
    parts[split * kWidth + column] = sum;
  }
  if constexpr (kBug == Bug::one_launch) {
    if (split == 1) sums[column] = parts[column] + parts[kWidth + column] + parts[2 * kWidth + column];
  }
}

__global__ void __launch_bounds__(kWidth) add_parts(float* sums, const float* parts, int splits) {
  float sum = 0;
  for (int split = 0; split < splits; ++split) sum += parts[split * kWidth + static_cast<int>(threadIdx.x)];
  sums[threadIdx.x] = sum;
}

template <Bug kBug>
bool run_split_k(const Context& context) {
  const std::vector<float> x = integers<float>(kSplits * kRowsPerSplit * kWidth);
  DeviceArray<float> device_x(context, x), sums(context, kWidth), parts(context, kSplits * kWidth);
  if constexpr (kBug == Bug::one_launch)
    emulated::state_of(context).clear(parts.data(), kSplits * kWidth * sizeof(float));
  launch(context, partial_sums<kBug>, {.grid = dim3(kSplits), .block = dim3(kWidth)}, parts.data(),
         static_cast<const float*>(device_x.data()), sums.data());
  if constexpr (kBug == Bug::scratch_given_back) parts.release();
  launch(context, add_parts, {.grid = dim3(1), .block = dim3(kWidth)}, sums.data(),
         static_cast<const float*>(parts.data()), kBug == Bug::too_many_parts ? kSplits + 1 : kSplits);
  std::vector<float> expected(kWidth, 0.0F);
  for (size_t i = 0; i < x.size(); ++i) expected[i % kWidth] += x[i];
  return sums.download() == expected;
}

}  // namespace

std::vector<Mutant> split_k() {
  return {
      {"split_k", {}, run_split_k<Bug::none>},
      {"parts_overlap", {Defect::global_race}, run_split_k<Bug::parts_overlap>},
      {"part_missing", {Defect::uninitialised_global}, run_split_k<Bug::part_missing>},
      {"one_launch", {Defect::global_race}, run_split_k<Bug::one_launch>},
      {"too_many_parts", {Defect::out_of_bounds_global}, run_split_k<Bug::too_many_parts>},
      {"scratch_given_back", {Defect::freed_memory}, run_split_k<Bug::scratch_given_back>},
  };
}

}  // namespace unet::kernels::gpu::mutants
