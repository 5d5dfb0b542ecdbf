// Tables that an enumeration indexes.
#pragma once

#include <cstddef>

namespace dice {

/// Whether row i belongs to enumerator i, and the last row to `last`: no enumerator lacks its row. `key` is the member
/// that holds the enumerator.
template <typename Rows, typename Row, typename Enum>
constexpr bool is_indexed_by(const Rows& rows, Enum Row::* key, Enum last) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (static_cast<std::size_t>(rows[i].*key) != i) return false;
  }
  return rows.size() == static_cast<std::size_t>(last) + 1;
}

}  // namespace dice
