#include "common/http/router.h"

#include <algorithm>
#include <set>
#include <utility>

namespace dice {
namespace {

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    segments.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

bool is_parameter(std::string_view segment) { return segment.starts_with('{'); }

std::string allow_of(std::set<Method> methods) {
  if (methods.contains(Method::get)) methods.insert(Method::head);
  methods.insert(Method::options);
  std::string allow;
  for (const auto method : methods) allow.append(allow.empty() ? "" : ", ").append(name_of(method));
  return allow;
}

}  // namespace

std::size_t Router::add(Method method, const std::string& path) {
  auto found = std::ranges::find(paths_, path, &Path::path);
  if (found == paths_.end()) {
    if (path.find('{') == std::string::npos) exact_[path] = paths_.size();
    const auto segments = segments_of(path);
    paths_.push_back({path, {segments.begin(), segments.end()}, {}, {}});
    found = paths_.end() - 1;
  }
  found->routes[method] = count_;
  std::set<Method> methods;
  for (const auto& [one, route] : found->routes) methods.insert(one);
  found->allow = allow_of(std::move(methods));
  return count_++;
}

const Router::Path* Router::find(std::string_view path, std::map<std::string, std::string>& parameters) const {
  if (const auto found = exact_.find(std::string(path)); found != exact_.end()) return &paths_[found->second];
  const auto parts = segments_of(path);
  for (const auto& candidate : paths_) {
    std::map<std::string, std::string> values;
    const auto fits = [&values](const std::string& wanted, std::string_view part) {
      if (!is_parameter(wanted)) return wanted == part;
      auto value = percent_decode(part, false);
      if (!value || value->empty()) return false;
      values[wanted.substr(1, wanted.size() - 2)] = std::move(*value);
      return true;
    };
    if (std::ranges::equal(candidate.segments, parts, fits)) {
      parameters = std::move(values);
      return &candidate;
    }
  }
  return nullptr;
}

Router::Match Router::match(Method method, std::string_view path) const {
  Match match;
  if (path == "*") {
    std::set<Method> all;
    for (const auto& one : paths_) {
      for (const auto& [known, route] : one.routes) all.insert(known);
    }
    match.path = "*";
    match.allow = allow_of(std::move(all));
    return match;
  }
  const auto* const found = find(path, match.parameters);
  if (found == nullptr) return match;
  match.path = found->path;
  match.allow = found->allow;
  auto route = found->routes.find(method);
  if (route == found->routes.end() && method == Method::head) route = found->routes.find(Method::get);
  if (route != found->routes.end()) match.route = route->second;
  return match;
}

}  // namespace dice
