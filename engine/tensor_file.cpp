#include "engine/tensor_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <type_traits>

namespace unet::engine {
namespace {

/// Calls f.template operator()<T>() with the T of any dtype.
template <class F>
decltype(auto) dispatch_any(DType dtype, F&& f) {
  if (dtype == DType::u8) return f.template operator()<uint8_t>();
  if (dtype == DType::i32) return f.template operator()<int32_t>();
  return dispatch_float("tensor_file", dtype, f);
}

/// The elements of a channels-last tensor, as they lie in a file.
template <class T>
std::span<T> elements_of(const View<T>& view) {
  return {view.data, static_cast<size_t>(view.size())};
}

/// The tensor itself, or a channels-last copy where it has another layout.
Tensor channels_last(const Tensor& t) {
  if (t.layout() == Layout::nhwc) return t;
  Tensor copy = Tensor::empty(t.device(), t.shape(), t.dtype());
  dispatch_any(t.dtype(), [&]<class T>() {
    const auto x = t.view<T>();
    T* out = copy.mutable_view<T>().data;
    for (int64_t n = 0; n < x.n; ++n)
      for (int64_t h = 0; h < x.h; ++h)
        for (int64_t w = 0; w < x.w; ++w)
          for (int64_t c = 0; c < x.c; ++c) *out++ = x(n, h, w, c);
  });
  return copy;
}

void copy_values(const Tensor& from, const Tensor& to) {
  dispatch_any(from.dtype(), [&]<class T>() {
    const T* x = from.view<T>().data;
    const auto y = to.mutable_view<T>();
    for (int64_t n = 0; n < y.n; ++n)
      for (int64_t h = 0; h < y.h; ++h)
        for (int64_t w = 0; w < y.w; ++w)
          for (int64_t c = 0; c < y.c; ++c) y(n, h, w, c) = *x++;
  });
}

template <class T>
bool all_finite(std::span<const T> values) {
  if constexpr (std::is_integral_v<T>) return true;
  return std::all_of(values.begin(), values.end(), [](T v) { return std::isfinite(static_cast<double>(v)); });
}

std::string type_text(const Tensor& t) { return concat(name_of(t.dtype()), " ", t.shape().text()); }

/// The file's values of one tensor, channels last.
Tensor read_tensor(const SafetensorsFile& file, const std::string& name, const Tensor& like) {
  const auto where = [&] { return concat("load ", file.path(), ": tensor '", name, "': "); };
  const TensorEntry* entry = file.find(name);
  if (entry == nullptr) throw CheckpointError(concat(where(), "expected ", type_text(like), ", got none"));
  if (entry->dtype != like.dtype() || !std::ranges::equal(entry->shape, like.shape().sizes())) {
    throw CheckpointError(concat(where(), "expected ", type_text(like), ", got ", entry->type_text()));
  }
  Tensor values = Tensor::empty(like.device(), like.shape(), like.dtype());
  dispatch_any(like.dtype(), [&]<class T>() {
    const std::span<T> elements = elements_of(values.mutable_view<T>());
    file.read(name, std::as_writable_bytes(elements));
    if (!all_finite<T>(elements)) throw CheckpointError(concat(where(), "expected finite values, got NaN or infinity"));
  });
  return values;
}

}  // namespace

ParameterList with_prefix(std::string_view prefix, const ParameterList& list) {
  ParameterList named = list;
  for (Parameter& p : named) p.name = concat(prefix, p.name);
  return named;
}

void save_tensors(const std::filesystem::path& path, const ParameterList& list, Metadata metadata) {
  std::vector<Tensor> keep_alive;
  std::vector<TensorData> data;
  for (const Parameter& p : list) {
    const Tensor& t = keep_alive.emplace_back(channels_last(p.value));
    dispatch_any(t.dtype(), [&]<class T>() {
      const std::span<const T> elements = elements_of(t.view<T>());
      if (!all_finite(elements)) {
        throw NumericError(
            concat("save ", path, ": tensor '", p.name, "': expected finite values, got NaN or infinity"));
      }
      const auto sizes = t.shape().sizes();
      data.push_back({p.name, t.dtype(), {sizes.begin(), sizes.end()}, std::as_bytes(elements)});
    });
  }
  write_safetensors(path, std::move(data), std::move(metadata));
}

void load_tensors(const SafetensorsFile& file, const ParameterList& list, std::string_view prefix) {
  std::vector<Tensor> staged;
  std::vector<std::string> names;
  for (const Parameter& p : list) {
    names.push_back(concat(prefix, p.name));
    staged.push_back(read_tensor(file, names.back(), p.value));
  }
  std::sort(names.begin(), names.end());
  for (const TensorEntry& entry : file.tensors()) {
    if (entry.name.starts_with(prefix) && !std::binary_search(names.begin(), names.end(), entry.name)) {
      throw CheckpointError(concat("load ", file.path(), ": tensor '", entry.name,
                                   "': expected none of that name, got ", entry.type_text(),
                                   "; the file belongs to another network"));
    }
  }
  for (size_t i = 0; i < list.size(); ++i) copy_values(staged[i], list[i].value);
}

}  // namespace unet::engine
