#include "engine/staged_tensor.h"

#include <cstring>

#include "engine/cast.h"

namespace unet::engine {

StagedTensor::StagedTensor(const std::shared_ptr<Device>& device, const Shape& shape, DType dtype)
    : tensor_(Tensor::empty(device, shape, dtype)) {
  if (!device->state().can_capture()) return;
  for (Slot& s : slots_) {
    s.host = device->state().allocate_staging(static_cast<size_t>(shape.elements()) * size_of(dtype));
    s.device = Tensor::empty(device, shape, dtype);
  }
  device->state().synchronize();  // uploads beside the work know nothing of who had this memory before
}

StagedTensor::~StagedTensor() {
  try {
    tensor_.device()->state().join_uploads();  // nor does who gets it next know of them
  } catch (const Error&) {                     // a device that failed takes no more work
  }
}

template <class T>
void StagedTensor::start(int64_t turn, std::span<const T> values) {
  const Slot& to = slot(turn);
  if (!to.device) return tensor_.set_values(values);
  T* data = to.device.mutable_view<T>().data;
  if (static_cast<int64_t>(values.size()) != tensor_.shape().elements()) {
    throw ShapeError(concat("staged tensor: expected ", tensor_.shape().elements(), " values for shape ",
                            tensor_.shape().text(), ", got ", values.size()));
  }
  std::memcpy(to.host.get(), values.data(), values.size_bytes());
  tensor_.device()->state().upload_beside(data, to.host.get(), values.size_bytes());
}

template void StagedTensor::start(int64_t, std::span<const float>);
template void StagedTensor::start(int64_t, std::span<const int32_t>);

void StagedTensor::finish(int64_t turn) {
  const Slot& from = slot(turn);
  if (!from.device) return;
  tensor_.device()->state().join_uploads();
  copy(from.device, tensor_);
}

}  // namespace unet::engine
