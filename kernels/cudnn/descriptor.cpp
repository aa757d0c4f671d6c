#include "kernels/cudnn/descriptor.h"

#include <array>

namespace unet::kernels::cudnn {

void require(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 1024> explanation{};
  cudnnGetLastErrorString(explanation.data(), explanation.size());
  const std::string text = concat("cudnn: ", what, ": ", cudnnGetErrorString(status), ": ", explanation.data());
  if (status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED) throw OutOfMemory(text, 0, 0);
  throw DeviceError(text);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, std::span<const Descriptor> values) {
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor& value : values) raw.push_back(value.raw_);
  return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(raw.size()), raw.data());
}

std::vector<Descriptor> Descriptor::get_descriptors(cudnnBackendAttributeName_t name,
                                                    cudnnBackendDescriptorType_t type) const {
  int64_t count = 0;
  require(cudnnBackendGetAttribute(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
          "counting an attribute's descriptors");
  std::vector<Descriptor> values;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int64_t i = 0; i < count; ++i) raw.push_back(values.emplace_back(type).raw_);
  int64_t written = 0;
  require(cudnnBackendGetAttribute(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &written, raw.data()),
          "reading an attribute's descriptors");
  values.erase(values.begin() + std::min(written, count), values.end());
  return values;
}

bool Descriptor::try_finalize(const char* what) {
  const cudnnStatus_t status = cudnnBackendFinalize(raw_);
  if (is_unsupported(status)) return false;
  require(status, what);
  return true;
}

}  // namespace unet::kernels::cudnn
