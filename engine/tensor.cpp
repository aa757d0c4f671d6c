#include "engine/tensor.h"

#include "engine/autograd.h"
#include "kernels/cast.h"
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
  ~Storage() { device_->arena().release(data_); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  const std::shared_ptr<Device>& device() const { return device_; }
  void* data() const { return data_; }
  kernels::FilterCache& filter_cache() { return filter_cache_; }

 private:
  std::shared_ptr<Device> device_;
  void* data_;
  kernels::FilterCache filter_cache_;  // here, since detached tensors write to the same values
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
kernels::FilterCache& Tensor::filter_cache() const { return body().storage->filter_cache(); }
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
  const auto fill = [&]<class T>() {
    kernels::run(device->context(), kernels::Fill<T>{.y = t.mutable_view<T>(), .value = T(0)});
  };
  if (dtype == DType::u8) {
    fill.template operator()<uint8_t>();
  } else if (dtype == DType::i32) {
    fill.template operator()<int32_t>();
  } else {
    dispatch_float("zeros", dtype, fill);
  }
  return t;
}

namespace {

/// f(element, i) for every element, i counting in NHWC order.
template <class T, class F>
void for_each_nhwc(const View<T>& v, F f) {
  if (v.is_nhwc() && v.is_dense()) {
    for (size_t i = 0; i < static_cast<size_t>(v.size()); ++i) f(v.data[i], i);
    return;
  }
  size_t i = 0;
  for (int64_t n = 0; n < v.n; ++n)
    for (int64_t h = 0; h < v.h; ++h)
      for (int64_t w = 0; w < v.w; ++w)
        for (int64_t c = 0; c < v.c; ++c) f(v(n, h, w, c), i++);
}

template <class T, class U>
void copy_values(const Tensor& to, std::span<const U> values) {
  if (static_cast<int64_t>(values.size()) != to.shape().elements()) {
    throw ShapeError(concat("tensor: expected ", to.shape().elements(), " values for shape ", to.shape().text(),
                            ", got ", values.size()));
  }
  const auto y = to.mutable_view<T>();
  for_each_nhwc(y, [&](T& element, size_t i) { element = static_cast<T>(values[i]); });
}

template <class T, class U>
std::vector<U> read_values(const Tensor& from) {
  const auto x = from.view<T>();
  std::vector<U> out(static_cast<size_t>(x.size()));
  for_each_nhwc(x, [&](const T& element, size_t i) { out[i] = static_cast<U>(element); });
  return out;
}

template <class U>
std::vector<U> read_any(const Tensor& t) {
  if (t.dtype() == DType::u8) return read_values<uint8_t, U>(t);
  if (t.dtype() == DType::i32) return read_values<int32_t, U>(t);
  return dispatch_float("tensor", t.dtype(), [&]<class T>() { return read_values<T, U>(t); });
}

}  // namespace

void Tensor::assign(std::span<const float> values) const {
  dispatch_float("tensor", dtype(), [&]<class T>() { copy_values<T>(*this, values); });
}

Tensor Tensor::from(const std::shared_ptr<Device>& device, const Shape& shape, std::span<const float> values,
                    DType dtype) {
  Tensor t = zeros(device, shape, dtype);
  t.assign(values);
  return t;
}

Tensor Tensor::from(const std::shared_ptr<Device>& device, const Shape& shape, std::span<const double> values) {
  Tensor t = empty(device, shape, DType::f64);
  copy_values<double>(t, values);
  return t;
}

Tensor Tensor::from(const std::shared_ptr<Device>& device, const Shape& shape, std::span<const int32_t> values) {
  Tensor t = empty(device, shape, DType::i32);
  copy_values<int32_t>(t, values);
  return t;
}

std::vector<float> Tensor::to_vector() const { return read_any<float>(*this); }
std::vector<double> Tensor::to_double() const { return read_any<double>(*this); }

double Tensor::item() const {
  if (shape().elements() != 1) throw ShapeError(concat("item: expected one element, got shape ", shape().text()));
  return to_double()[0];
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
