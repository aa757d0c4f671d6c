#include "engine/tensor.h"

#include <optional>

#include "engine/autograd.h"
#include "kernels/fill.h"

namespace unet::engine {

Shape::Shape(std::span<const int64_t> sizes) {
  if (sizes.empty() || sizes.size() > 4) {
    throw ShapeError(concat("shape: expected one to four sizes, got ", sizes.size()));
  }
  rank_ = static_cast<int>(sizes.size());
  constexpr int64_t limit = int64_t{1} << 40;
  int64_t product = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int64_t size = sizes[i];
    size_[4 - sizes.size() + i] = size;
    if (size < 1 || size > limit / product) {
      throw ShapeError(concat("shape: expected sizes above zero with a product below 2^40, got ", text()));
    }
    product *= size;
  }
}

std::string Shape::text() const {
  std::string out = "[";
  for (const int64_t size : sizes()) out += (out.size() > 1 ? "," : "") + std::to_string(size);
  return out + "]";
}

namespace {

/// A block of a device's arena.
class Storage {
 public:
  Storage(std::shared_ptr<Device> device, size_t bytes)
      : device_(std::move(device)), data_(device_->arena().allocate(bytes)) {}
  ~Storage() {
    filter_cache.reset();  // lies in the arena too, on a device
    device_->arena().release(data_);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  const std::shared_ptr<Device>& device() const { return device_; }
  void* data() const { return data_; }

  // Derived from the values; here, since detached tensors write to the same ones.
  kernels::FilterCache filter_cache;
  std::optional<double> known;  // the value of a scalar, where the host has set it

 private:
  std::shared_ptr<Device> device_;
  void* data_;
};

int64_t stored_elements(const Shape& s, Layout layout) {
  return s.n() * s.h() * s.w() * (layout == Layout::blocked ? round_up(s.c(), kernels::kChannelBlock) : s.c());
}

}  // namespace

struct Tensor::Body {
  Shape shape;
  DType dtype = DType::f32;
  Layout layout = Layout::nhwc;
  std::shared_ptr<Storage> storage;
  bool requires_grad = false;
  Tensor grad;
  std::shared_ptr<Node> node;
};

const Tensor::Body& Tensor::body() const {
  if (!body_) throw Error("tensor: expected values, got an empty tensor");
  return *body_;
}

const Shape& Tensor::shape() const { return body().shape; }
DType Tensor::dtype() const { return body().dtype; }
Layout Tensor::layout() const { return body().layout; }
const std::shared_ptr<Device>& Tensor::device() const { return body().storage->device(); }
kernels::FilterCache& Tensor::filter_cache() const { return body().storage->filter_cache; }
bool Tensor::requires_grad() const { return body_ && body_->requires_grad; }
Tensor Tensor::grad() const { return body().grad; }
const std::shared_ptr<Node>& Tensor::node() const { return body().node; }

const Tensor& Tensor::set_requires_grad(bool on) const {
  const_cast<Body&>(body()).requires_grad = on;
  return *this;
}
void Tensor::set_grad(const Tensor& gradient) const { const_cast<Body&>(body()).grad = gradient; }
void Tensor::set_node(std::shared_ptr<Node> node) const { const_cast<Body&>(body()).node = std::move(node); }

const void* Tensor::data_of(DType expected) const {
  if (body().dtype != expected) {
    throw TypeError(concat("tensor: expected ", name_of(expected), ", got ", name_of(body().dtype)));
  }
  return body().storage->data();
}

void Tensor::forget_derived() const {
  Storage& storage = *body().storage;
  storage.filter_cache.reset();
  storage.known.reset();
}

Tensor Tensor::empty(const std::shared_ptr<Device>& device, const Shape& shape, DType dtype, Layout layout) {
  Tensor t;
  t.body_ = std::make_shared<Body>();
  t.body_->shape = shape;
  t.body_->dtype = dtype;
  t.body_->layout = layout;
  t.body_->storage =
      std::make_shared<Storage>(device, static_cast<size_t>(stored_elements(shape, layout)) * size_of(dtype));
  return t;
}

Tensor empty_image(const std::shared_ptr<Device>& device, const Shape& shape, DType dtype) {
  return Tensor::empty(device, shape, dtype, kernels::preferred_layout(device->target(), shape.c()));
}

Tensor Tensor::zeros(const std::shared_ptr<Device>& device, const Shape& shape, DType dtype, Layout layout) {
  Tensor t = empty(device, shape, dtype, layout);
  dispatch_any(dtype, [&]<class T>() {
    kernels::run(device->context(), kernels::Fill<T>{.y = t.mutable_view<T>(), .value = T(0)});
  });
  return t;
}

namespace {

/// f(place, i) for every element, i counting in NHWC order, place in the order of memory.
template <class F>
void for_each_place(const Tensor& t, F f) {
  const Shape& s = t.shape();
  const auto view = t.layout() == Layout::blocked ? View<const char>::blocked(nullptr, s.n(), s.h(), s.w(), s.c())
                                                  : View<const char>::nhwc(nullptr, s.n(), s.h(), s.w(), s.c());
  size_t i = 0;
  for (int64_t n = 0; n < view.n; ++n)
    for (int64_t h = 0; h < view.h; ++h)
      for (int64_t w = 0; w < view.w; ++w)
        for (int64_t c = 0; c < view.c; ++c) f(static_cast<size_t>(view.offset(n, h, w, c)), i++);
}

template <class To, class From>
std::vector<To> converted(std::span<const From> values) {
  std::vector<To> out(values.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<To>(values[i]);
  return out;
}

template <class U>
std::vector<U> read_any(const Tensor& t) {
  return dispatch_any(t.dtype(), [&]<class T>() {
    std::vector<T> values = t.values<T>();
    if constexpr (std::is_same_v<T, U>) {
      return values;
    } else {
      return converted<U>(std::span<const T>(values));
    }
  });
}

}  // namespace

template <class T>
std::vector<T> Tensor::values() const {
  const T* data = view<T>().data;
  std::vector<T> stored(static_cast<size_t>(stored_elements(shape(), layout())));
  device()->state().download(stored.data(), data, stored.size() * sizeof(T));
  if (layout() == Layout::nhwc) return stored;
  std::vector<T> out(static_cast<size_t>(shape().elements()));
  for_each_place(*this, [&](size_t place, size_t i) { out[i] = stored[place]; });
  return out;
}

template <class T>
void Tensor::set_values(std::span<const T> values) const {
  T* data = mutable_view<T>().data;
  if (static_cast<int64_t>(values.size()) != shape().elements()) {
    throw ShapeError(
        concat("tensor: expected ", shape().elements(), " values for shape ", shape().text(), ", got ", values.size()));
  }
  if (layout() == Layout::nhwc) return device()->state().upload(data, values.data(), values.size_bytes());
  std::vector<T> stored(static_cast<size_t>(stored_elements(shape(), layout())), T(0));
  for_each_place(*this, [&](size_t place, size_t i) { stored[place] = values[i]; });
  device()->state().upload(data, stored.data(), stored.size() * sizeof(T));
}

#define UNET_INSTANTIATE(T)                          \
  template std::vector<T> Tensor::values<T>() const; \
  template void Tensor::set_values<T>(std::span<const T>) const;
UNET_INSTANTIATE(float)
UNET_INSTANTIATE(bf16)
UNET_INSTANTIATE(double)
UNET_INSTANTIATE(uint8_t)
UNET_INSTANTIATE(int32_t)
#undef UNET_INSTANTIATE

void Tensor::assign(std::span<const float> values) const {
  dispatch_float("tensor", dtype(), [&]<class T>() {
    if constexpr (std::is_same_v<T, float>) {
      set_values(values);
    } else {
      set_values<T>(converted<T>(values));
    }
  });
}

Tensor Tensor::from(const std::shared_ptr<Device>& device, const Shape& shape, std::span<const float> values,
                    DType dtype) {
  Tensor t = empty(device, shape, dtype);
  t.assign(values);
  return t;
}

Tensor Tensor::from(const std::shared_ptr<Device>& device, const Shape& shape, std::span<const double> values) {
  Tensor t = empty(device, shape, DType::f64);
  t.set_values(values);
  return t;
}

Tensor Tensor::from(const std::shared_ptr<Device>& device, const Shape& shape, std::span<const int32_t> values) {
  Tensor t = empty(device, shape, DType::i32);
  t.set_values(values);
  return t;
}

Tensor Tensor::scalar(const std::shared_ptr<Device>& device, double value, DType dtype) {
  Tensor t = empty(device, Shape{1}, dtype);
  const auto fill = [&]<class T>() {
    kernels::run(device->context(), kernels::Fill<T>{.y = t.mutable_view<T>(), .value = static_cast<T>(value)});
    t.body().storage->known = static_cast<double>(static_cast<T>(value));
  };
  dtype == DType::f64 ? fill.template operator()<double>() : fill.template operator()<float>();
  return t;
}

std::vector<float> Tensor::to_vector() const { return read_any<float>(*this); }
std::vector<double> Tensor::to_double() const { return read_any<double>(*this); }

double Tensor::item() const {
  if (shape().elements() != 1) throw ShapeError(concat("item: expected one element, got shape ", shape().text()));
  return body().storage->known ? *body().storage->known : to_double()[0];
}

Tensor Tensor::detach() const {
  Tensor t;
  t.body_ = std::make_shared<Body>();
  t.body_->shape = body().shape;
  t.body_->dtype = body().dtype;
  t.body_->layout = body().layout;
  t.body_->storage = body().storage;
  return t;
}

}  // namespace unet::engine
