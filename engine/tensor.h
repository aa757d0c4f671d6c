// Tensor: a shared handle to an array on a device, with its place in the gradient graph.
#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/device.h"
#include "kernels/view.h"

namespace unet::engine {

using kernels::Layout;
using kernels::View;

/// Up to four sizes, innermost last. Missing leading sizes count as one: {C} is a vector, {N,H,W,C} an image batch,
/// {K,R,S,C} a filter.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}
  /// Throws ShapeError unless there are one to four sizes, all above zero, with a product below 2^40.
  explicit Shape(std::span<const int64_t> sizes);

  int rank() const { return rank_; }
  int64_t n() const { return size_[0]; }
  int64_t h() const { return size_[1]; }
  int64_t w() const { return size_[2]; }
  int64_t c() const { return size_[3]; }
  int64_t elements() const { return n() * h() * w() * c(); }
  /// The sizes as given, without the implied leading ones.
  std::span<const int64_t> sizes() const { return std::span(size_).last(static_cast<size_t>(rank_)); }
  std::string text() const;
  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, 4> size_{1, 1, 1, 1};
  int rank_ = 1;
};

class Tensor;
struct Node;

/// Shared handle: copies refer to the same values. A default-constructed tensor is empty and converts to false.
/// The values lie in the device's memory, which may be out of the host's reach: views are for kernels alone.
class Tensor {
 public:
  Tensor() = default;

  /// Uninitialised memory. Throws OutOfMemory.
  static Tensor empty(const std::shared_ptr<Device>& device, const Shape& shape, DType dtype = DType::f32,
                      Layout layout = Layout::nhwc);
  static Tensor zeros(const std::shared_ptr<Device>& device, const Shape& shape, DType dtype = DType::f32,
                      Layout layout = Layout::nhwc);
  /// One element of f32 or f64. item() knows it without asking the device, until the tensor is written to.
  static Tensor scalar(const std::shared_ptr<Device>& device, double value, DType dtype);
  /// A copy of values in NHWC order. Throws ShapeError where their number differs from the shape's.
  static Tensor from(const std::shared_ptr<Device>& device, const Shape& shape, std::span<const float> values,
                     DType dtype = DType::f32);
  static Tensor from(const std::shared_ptr<Device>& device, const Shape& shape, std::span<const double> values);
  static Tensor from(const std::shared_ptr<Device>& device, const Shape& shape, std::span<const int32_t> values);

  explicit operator bool() const { return body_ != nullptr; }
  const Shape& shape() const;
  DType dtype() const;
  Layout layout() const;
  const std::shared_ptr<Device>& device() const;

  /// For kernels: the values as T. Throws TypeError where T is not the element type.
  template <class T>
  View<const T> view() const {
    return make_view<const T>(DTypeOf<T>::value);
  }
  /// The same for writing; packed copies of a filter made from the old values are dropped.
  template <class T>
  View<T> mutable_view() const {
    forget_derived();
    return make_view<T>(DTypeOf<T>::value);
  }
  kernels::FilterCache& filter_cache() const;

  /// All values in NHWC order, whatever the layout and type. Waits until they have been computed.
  std::vector<float> to_vector() const;
  std::vector<double> to_double() const;
  /// The same without conversion. Throws TypeError where T is not the element type.
  template <class T>
  std::vector<T> values() const;
  /// The one value of a tensor of one element.
  double item() const;
  /// Copies values in NHWC order into this tensor.
  void assign(std::span<const float> values) const;
  /// The same without conversion. Throws TypeError where T is not the element type.
  template <class T>
  void set_values(std::span<const T> values) const;

  /// A parameter: backward() leaves the gradient in grad().
  const Tensor& set_requires_grad(bool on = true) const;
  bool requires_grad() const;
  Tensor grad() const;
  void set_grad(const Tensor& gradient) const;
  /// The same values outside the graph.
  Tensor detach() const;

  // The graph; see autograd.h.
  const std::shared_ptr<Node>& node() const;
  void set_node(std::shared_ptr<Node> node) const;

 private:
  struct Body;
  template <class T>
  View<T> make_view(DType expected) const {
    auto* data = static_cast<T*>(const_cast<void*>(data_of(expected)));
    const Shape& s = shape();
    return layout() == Layout::blocked ? View<T>::blocked(data, s.n(), s.h(), s.w(), s.c())
                                       : View<T>::nhwc(data, s.n(), s.h(), s.w(), s.c());
  }
  const void* data_of(DType expected) const;
  void forget_derived() const;
  const Body& body() const;

  std::shared_ptr<Body> body_;
};

/// Calls f.template operator()<T>() with the T of a floating-point dtype. Throws TypeError for others.
template <class F>
decltype(auto) dispatch_float(const char* operation, DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f.template operator()<float>();
    case DType::bf16:
      return f.template operator()<bf16>();
    case DType::f64:
      return f.template operator()<double>();
    default:
      throw TypeError(concat(operation, ": expected f32, bf16 or f64, got ", name_of(dtype)));
  }
}

/// Calls f.template operator()<T>() with the T of any dtype.
template <class F>
decltype(auto) dispatch_any(DType dtype, F&& f) {
  if (dtype == DType::u8) return f.template operator()<uint8_t>();
  if (dtype == DType::i32) return f.template operator()<int32_t>();
  return dispatch_float("tensor", dtype, f);
}

/// The type in which values of dtype are accumulated and parameters kept.
constexpr DType accumulate_dtype(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

/// An uninitialised image in the layout its device prefers.
Tensor empty_image(const std::shared_ptr<Device>& device, const Shape& shape, DType dtype);

}  // namespace unet::engine
