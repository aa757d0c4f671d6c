// Descriptors of cuDNN's graph API as values with typed attributes.
#pragma once

#include <cudnn.h>

#include <span>
#include <utility>
#include <vector>

#include "kernels/error.h"

namespace unet::kernels::cudnn {

/// Throws DeviceError (OutOfMemory for lack of memory) unless `status` is success: "cudnn: what: status: explanation".
void require(cudnnStatus_t status, const char* what);

/// True for the statuses that say "not this graph, not on this device": another plan may do.
inline bool is_unsupported(cudnnStatus_t status) { return CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED; }

// The name by which the interface knows a C++ type.
template <class V>
inline constexpr cudnnBackendAttributeType_t kAttributeType = CUDNN_TYPE_INT64;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<char> = CUDNN_TYPE_CHAR;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<bool> = CUDNN_TYPE_BOOLEAN;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<float> = CUDNN_TYPE_FLOAT;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<void*> = CUDNN_TYPE_VOID_PTR;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<cudnnHandle_t> = CUDNN_TYPE_HANDLE;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<cudnnDataType_t> = CUDNN_TYPE_DATA_TYPE;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<cudnnConvolutionMode_t> = CUDNN_TYPE_CONVOLUTION_MODE;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<cudnnBackendHeurMode_t> = CUDNN_TYPE_HEUR_MODE;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<cudnnPointwiseMode_t> = CUDNN_TYPE_POINTWISE_MODE;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<cudnnReduceTensorOp_t> = CUDNN_TYPE_REDUCTION_OPERATOR_TYPE;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<cudnnBackendNumericalNote_t> = CUDNN_TYPE_NUMERICAL_NOTE;
template <>
inline constexpr cudnnBackendAttributeType_t kAttributeType<cudnnBackendKnobType_t> = CUDNN_TYPE_KNOB_TYPE;

/// Owns one descriptor. Methods throw DeviceError.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    require(cudnnBackendCreateDescriptor(type, &raw_), "creating a descriptor");
  }
  ~Descriptor() {
    if (raw_ != nullptr) cudnnBackendDestroyDescriptor(raw_);
  }
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }

  cudnnBackendDescriptor_t raw() const { return raw_; }

  template <class V>
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<const V> values) {
    return set(name, kAttributeType<V>, static_cast<int64_t>(values.size()), values.data());
  }
  template <class V>
  Descriptor& set(cudnnBackendAttributeName_t name, const V& value) {
    return set(name, std::span<const V>(&value, 1));
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.raw_);
  }
  Descriptor& set(cudnnBackendAttributeName_t name, std::span<const Descriptor> values);

  template <class V>
  V get(cudnnBackendAttributeName_t name) const {
    V value{};
    int64_t count = 0;
    require(cudnnBackendGetAttribute(raw_, name, kAttributeType<V>, 1, &count, &value), "reading an attribute");
    return value;
  }
  /// All values of an attribute that has at most `limit` of them.
  template <class V>
  std::vector<V> get_all(cudnnBackendAttributeName_t name, int64_t limit) const {
    std::vector<V> values(static_cast<size_t>(limit));
    int64_t count = 0;
    require(cudnnBackendGetAttribute(raw_, name, kAttributeType<V>, limit, &count, values.data()),
            "reading an attribute");
    values.resize(static_cast<size_t>(std::min(count, limit)));
    return values;
  }
  /// All descriptors, of the given type, of an attribute.
  std::vector<Descriptor> get_descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type) const;

  Descriptor& finalize(const char* what) {
    require(cudnnBackendFinalize(raw_), what);
    return *this;
  }
  /// False where cuDNN does not support what the descriptor asks for.
  bool try_finalize(const char* what);

 private:
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                  const void* values) {
    require(cudnnBackendSetAttribute(raw_, name, type, count, values), "setting an attribute");
    return *this;
  }

  cudnnBackendDescriptor_t raw_ = nullptr;
};

}  // namespace unet::kernels::cudnn
