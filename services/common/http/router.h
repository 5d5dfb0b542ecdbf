// The router: maps a method and a path to a route, independent of requests and sockets.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/http/message.h"

namespace dice {

/// Not thread-safe while routes are added; afterwards, any number of threads may call `match`.
class Router {
 public:
  /// `path` such as "/dice/{identifier}": a name in braces matches one non-empty segment. Paths without braces take
  /// precedence. Returns the route's number, counted from 0.
  std::size_t add(Method method, const std::string& path);

  struct Match {
    static constexpr auto kNone = static_cast<std::size_t>(-1);
    /// kNone if no route has this path and method. HEAD matches the route of GET.
    std::size_t route = kNone;
    /// The path's template, regardless of the method; empty if no route has this path.
    std::string_view path;
    std::map<std::string, std::string> parameters;
    /// Methods of the path, as in `Allow`, including HEAD and OPTIONS.
    std::string allow;
  };

  /// `path` is the path as sent, not decoded. "*" matches all routes (RFC 9110, section 9.3.7).
  Match match(Method method, std::string_view path) const;

 private:
  struct Path {
    std::string path;
    std::vector<std::string> segments;
    std::map<Method, std::size_t> routes;
    std::string allow;
  };

  const Path* find(std::string_view path, std::map<std::string, std::string>& parameters) const;

  std::size_t count_ = 0;
  std::vector<Path> paths_;
  /// Indices into `paths_` of the paths without braces.
  std::unordered_map<std::string, std::size_t> exact_;
};

}  // namespace dice
