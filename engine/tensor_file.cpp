#include "engine/tensor_file.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <type_traits>

namespace unet::engine {
namespace {

template <class T>
bool all_finite(const std::vector<T>& values) {
  if constexpr (std::is_integral_v<T>) return true;
  return std::all_of(values.begin(), values.end(), [](T v) { return std::isfinite(static_cast<double>(v)); });
}

std::string type_text(const Tensor& t) { return concat(name_of(t.dtype()), " ", t.shape().text()); }

/// The file's values of one tensor, channels last.
template <class T>
std::vector<T> read_values(const SafetensorsFile& file, const std::string& name, const Tensor& like) {
  const auto where = [&] { return concat("load ", file.path(), ": tensor '", name, "': "); };
  const TensorEntry* entry = file.find(name);
  if (entry == nullptr) throw CheckpointError(concat(where(), "expected ", type_text(like), ", got none"));
  if (entry->dtype != like.dtype() || !std::ranges::equal(entry->shape, like.shape().sizes())) {
    throw CheckpointError(concat(where(), "expected ", type_text(like), ", got ", entry->type_text()));
  }
  std::vector<T> values(static_cast<size_t>(like.shape().elements()));
  file.read(name, std::as_writable_bytes(std::span(values)));
  if (!all_finite(values)) throw CheckpointError(concat(where(), "expected finite values, got NaN or infinity"));
  return values;
}

}  // namespace

ParameterList with_prefix(std::string_view prefix, const ParameterList& list) {
  ParameterList named = list;
  for (Parameter& p : named) p.name = concat(prefix, p.name);
  return named;
}

void save_tensors(const std::filesystem::path& path, const ParameterList& list, Metadata metadata) {
  std::vector<std::shared_ptr<const void>> snapshot;  // of the values, in the host's memory
  std::vector<TensorData> data;
  for (const Parameter& p : list) {
    dispatch_any(p.value.dtype(), [&]<class T>() {
      const auto values = std::make_shared<const std::vector<T>>(p.value.values<T>());
      if (!all_finite(*values)) {
        throw NumericError(
            concat("save ", path, ": tensor '", p.name, "': expected finite values, got NaN or infinity"));
      }
      const auto sizes = p.value.shape().sizes();
      data.push_back(
          {p.name, p.value.dtype(), {sizes.begin(), sizes.end()}, std::as_bytes(std::span<const T>(*values))});
      snapshot.push_back(values);
    });
  }
  write_safetensors(path, std::move(data), std::move(metadata));
}

void load_tensors(const SafetensorsFile& file, const ParameterList& list, std::string_view prefix) {
  std::vector<std::function<void()>> assignments;
  std::vector<std::string> names;
  for (const Parameter& p : list) {
    names.push_back(concat(prefix, p.name));
    dispatch_any(p.value.dtype(), [&]<class T>() {
      assignments.push_back([values = read_values<T>(file, names.back(), p.value), to = p.value] {
        to.set_values(std::span<const T>(values));
      });
    });
  }
  std::sort(names.begin(), names.end());
  for (const TensorEntry& entry : file.tensors()) {
    if (entry.name.starts_with(prefix) && !std::binary_search(names.begin(), names.end(), entry.name)) {
      throw CheckpointError(concat("load ", file.path(), ": tensor '", entry.name,
                                   "': expected none of that name, got ", entry.type_text(),
                                   "; the file belongs to another network"));
    }
  }
  for (const auto& assign : assignments) assign();
}

}  // namespace unet::engine
