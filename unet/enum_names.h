// Enumerations that are written and read as text: one table of names each.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "kernels/error.h"

namespace unet {

/// Specialise with `static constexpr std::array<std::string_view, N> value`, one name an enumerator, in their order,
/// which starts at 0 and has no gaps.
template <class E>
struct EnumNames;

template <class E>
concept NamedEnum = requires {
  EnumNames<E>::value.size();
};

template <NamedEnum E>
constexpr std::string_view name_of(E value) {
  return EnumNames<E>::value.at(static_cast<size_t>(value));
}

/// "a, b or c"
template <NamedEnum E>
std::string all_names() {
  const auto& names = EnumNames<E>::value;
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

/// The enumerator called `text`; `what` names the setting in the ConfigError thrown when there is none.
template <NamedEnum E>
E parse_enum(std::string_view what, std::string_view text) {
  const auto& names = EnumNames<E>::value;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<E>(i);
  }
  throw ConfigError(concat(what, ": expected ", all_names<E>(), ", got ", text));
}

}  // namespace unet
