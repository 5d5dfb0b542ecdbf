#include "frontend/page.h"

#include <algorithm>
#include <optional>
#include <string>

#include "frontend/assets.h"

namespace dice {
namespace {

constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

/// Whether the weight behind a member of Accept-Encoding, such as "q=0.5", is more than 0.
bool is_allowed(std::string_view parameter) {
  const auto equals = std::min(parameter.find('='), parameter.size());
  return !equal_ignoring_case(trimmed(parameter.substr(0, equals)), "q") ||
         trimmed(parameter.substr(equals)).find_first_not_of("=0.") != std::string_view::npos;
}

/// RFC 9110, section 13.1.2: `tag`, which is strong and has no comma, is compared weakly.
bool is_unchanged(std::string_view if_none_match, const std::string& tag) {
  return trimmed(if_none_match) == "*" || if_none_match.contains(tag);
}

Response respond(const Asset& asset, const Request& request) {
  const bool gzip = accepts_gzip(request.header_list("Accept-Encoding"));
  const auto& form = gzip ? asset.gzip : asset.plain;
  Response response{.content_type = std::string(asset.content_type),
                    .headers = {{"Content-Security-Policy", kPolicy},
                                {"Referrer-Policy", "no-referrer"},
                                {"Cache-Control", "no-cache"},
                                {"Vary", "Accept-Encoding"},
                                {"ETag", form.etag}}};
  if (is_unchanged(request.header_list("If-None-Match"), form.etag)) {
    response.status = 304;
    return response;
  }
  if (gzip) response.headers.emplace_back("Content-Encoding", "gzip");
  response.body = form.content;
  return response;
}

}  // namespace

bool accepts_gzip(std::string_view accept_encoding) {
  std::optional<bool> gzip;
  bool others = false;
  for (const auto member : list_members(accept_encoding)) {
    const auto semicolon = std::min(member.find(';'), member.size());
    const auto coding = trimmed(member.substr(0, semicolon));
    const bool allowed = is_allowed(member.substr(std::min(semicolon + 1, member.size())));
    if (equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip")) gzip = allowed;
    if (coding == "*") others = allowed;
  }
  return gzip.value_or(others);
}

void add_page(Service& service) {
  for (const auto& asset : assets()) {
    service.add({.path = std::string(asset.path),
                 .handler = [&asset](const Request& request) { return respond(asset, request); }});
  }
}

}  // namespace dice
