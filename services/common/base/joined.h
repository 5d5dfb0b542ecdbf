// Lists as text.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace dice {

/// The texts, or what `text_of` makes of each element, with `separator` between them.
template <typename Elements, typename TextOf = std::identity>
std::string joined(const Elements& elements, std::string_view separator, const TextOf& text_of = {}) {
  std::string text;
  for (const auto& element : elements) {
    if (!text.empty()) text += separator;
    text += std::invoke(text_of, element);
  }
  return text;
}

}  // namespace dice
