#include "common/http/message.h"

#include <algorithm>
#include <array>

namespace dice {
namespace {

constexpr std::array<std::string_view, 10> kMethods = {"GET",   "HEAD",    "POST",  "PUT",     "DELETE",
                                                       "PATCH", "OPTIONS", "TRACE", "CONNECT", "_OTHER"};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> list_members(std::string_view text) {
  std::vector<std::string_view> members;
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    if (const auto member = trimmed(text.substr(0, end)); !member.empty()) members.push_back(member);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return members;
}

std::string_view name_of(Method method) { return kMethods[static_cast<std::size_t>(method)]; }

Method parse_method(std::string_view name) {
  const auto found = std::ranges::find(kMethods, name);
  return found == kMethods.end() ? Method::other : static_cast<Method>(found - kMethods.begin());
}

std::string_view Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return {};
}

std::string Request::header_list(std::string_view name) const {
  std::string list;
  for (const auto& [key, value] : headers) {
    if (equal_ignoring_case(key, name)) list.append(list.empty() ? "" : ",").append(value);
  }
  return list;
}

std::unexpected<Error> cancelled() {
  return std::unexpected(Error{ErrorCode::client_gone, "the client disconnected before the response was ready"});
}

}  // namespace dice
