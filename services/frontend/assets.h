// The files of the web page, embedded in the program.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace dice {

struct Asset {
  /// The path of the URL.
  std::string_view path;
  std::string_view content_type;
  /// What is sent, and its ETag, quoted.
  struct Form {
    std::string_view content;
    std::string etag;
  };
  Form plain;
  Form gzip;
};

std::span<const Asset> assets();

}  // namespace dice
